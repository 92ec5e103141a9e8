//! What calls cost, and the limit of an application.

use std::sync::PoisonError;

use crate::graph::Call;
use crate::http::reply::{GraphError, Reply};

/// Length of the window of the limit.
const WINDOW_MS: i64 = 60_000;

/// Units of a call (contract 5.3).
fn cost(method: &str, words: &[&str], with_token: bool) -> u32 {
    match (method, words) {
        (_, ["permissions", ..] | ["invite" | "createlink"]) => 5,
        ("GET", ["delta", ..]) if with_token || words.len() > 1 => 1,
        ("GET", ["delta" | "children" | "versions" | "drives"]) => 2,
        ("GET", _) => 1,
        _ => 2,
    }
}

/// How full the window is, to be told in the headers of the answer.
#[derive(Debug, Default)]
pub(crate) struct Charged {
    headers: Vec<(String, String)>,
}

impl Charged {
    pub(crate) fn finish(self, reply: Result<Reply, GraphError>) -> Result<Reply, GraphError> {
        match reply {
            Ok(mut reply) => {
                reply.headers.extend(self.headers);
                Ok(reply)
            }
            Err(mut error) => {
                error.headers.extend(self.headers);
                Err(error)
            }
        }
    }
}

/// Counts a call; refuses it when the limit is reached.
pub(crate) fn charge(call: &Call<'_>, words: &[&str]) -> Result<Charged, GraphError> {
    let with_token = call.request.option("token").is_some();
    charge_units(call, cost(&call.request.method, words, with_token))
}

/// Counts so many units; refuses the call when the limit is reached.
pub(crate) fn charge_units(call: &Call<'_>, cost: u32) -> Result<Charged, GraphError> {
    call.world.log.units(cost);
    let Some(limit) = call.world.settings().resource_units_per_minute else {
        return Ok(Charged::default());
    };
    let now = call.world.clock.now();
    let mut windows = call.world.windows.lock().unwrap_or_else(PoisonError::into_inner);
    let window = windows
        .entry((call.token.app.clone(), "sharepoint".to_owned()))
        .or_insert((now, 0));
    if now - window.0 >= WINDOW_MS {
        *window = (now, 0);
    }
    // Refused calls count as well.
    window.1 = window.1.saturating_add(cost);
    let reset = ((WINDOW_MS - (now - window.0)).max(0) / 1000 + 1).to_string();
    let mut charged = Charged::default();
    if u64::from(window.1) * 10 >= u64::from(limit) * 8 {
        charged.headers = vec![
            ("RateLimit-Limit".into(), limit.to_string()),
            (
                "RateLimit-Remaining".into(),
                limit.saturating_sub(window.1).to_string(),
            ),
            ("RateLimit-Reset".into(), reset.clone()),
        ];
    }
    if window.1 > limit {
        let refused = GraphError::new(429, "activityLimitReached", "The app or user has been throttled.");
        return Err(GraphError {
            headers: charged.headers,
            ..refused
        }
        .with("Retry-After", reset));
    }
    Ok(charged)
}
