//! What is due: schedules, chains, edits that waited for the end of a run.

use nakivo_scheduler::catch_up::{ClockStep, Missed, ScheduleState};
use nakivo_scheduler::run::Scope;

use super::super::history::HistoryEntry;
use super::{Cause, DirectorEvent, Engine, JobId};
use crate::error::Result;

impl Engine {
    /// Lets an edit take effect, unless the job runs. What was due by the schedules as they were is settled with them.
    pub(super) async fn apply_edit(&mut self, id: &JobId) -> Result<()> {
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let Some(entry) = live.entry.clone() else {
            return Ok(());
        };
        let state = &mut live.state;
        let same = *state.job.config() == entry.job && state.due_since == entry.due_since;
        if state.current.is_some() || same {
            return Ok(());
        }
        if state.due_since != entry.due_since {
            let (after, until) = (state.schedule.decided, entry.due_since);
            let table = &state.job.config().form().schedules;
            let count = if state.job.is_enabled() {
                table.count(after, until)
            } else {
                0
            };
            if count > 0 {
                let missed = Missed { count, after, until };
                self.put_missed(id, missed).await?;
            }
        }
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let state = &mut live.state;
        if state.due_since != entry.due_since {
            state.schedule = ScheduleState::new(entry.due_since);
            state.due_since = entry.due_since;
        }
        state.job.set_enabled(entry.job.form().enabled);
        state.job.edit(entry.job);
        live.next_due = None;
        self.put_state(id).await
    }

    /// Decides about everything of a job that became due, and sets a run going.
    pub(super) async fn decide(&mut self, id: &JobId) -> Result<()> {
        let now = self.shared.now();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        if live.state.current.is_some() || live.finding {
            return Ok(());
        }
        if !live.state.job.is_enabled() {
            // An end that it should have followed is not made up for.
            let forgotten = std::mem::take(&mut live.state.chained);
            return if forgotten.is_empty() {
                Ok(())
            } else {
                self.put_state(id).await
            };
        }
        let due = live.next_due().is_some_and(|moment| moment <= now);
        if !due && now >= live.state.schedule.decided {
            return self.decide_chained(id).await;
        }
        let form = live.state.job.config().form();
        let decision = form
            .schedules
            .decide(&live.state.schedule, now, form.catch_up, false);
        live.next_due = None;
        let name = live.name();
        if let ClockStep::Anew(_) = decision.clock {
            let job = id.clone();
            self.tell(DirectorEvent::ClockSetBack { job, name });
        }
        // On record first: should the process end now, it is decided, and recorded, once more.
        if let Some(missed) = decision.missed {
            self.put_missed(id, missed).await?;
        }
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        live.state.schedule = decision.state;
        let Some(start) = decision.start else {
            if decision.missed.is_some() || decision.clock != ClockStep::Forward {
                self.put_state(id).await?;
            }
            return self.decide_chained(id).await;
        };
        let cause = Cause::Schedule {
            due: start.occurrence.start,
            late: start.late,
        };
        self.begin(id, cause, Scope::All, start.occurrence.end).await
    }

    /// Starts a job that runs after others, once for all ends that call for it by now.
    async fn decide_chained(&mut self, id: &JobId) -> Result<()> {
        let now = self.shared.now();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let first = live
            .state
            .chained
            .iter()
            .filter(|start| start.at <= now)
            .min_by_key(|start| start.at);
        let Some(first) = first.cloned() else {
            return Ok(());
        };
        live.state.chained.retain(|start| start.at > now);
        let after = first.after.parse()?;
        self.begin(id, Cause::Chain { after }, Scope::All, None).await
    }

    async fn put_missed(&mut self, id: &JobId, missed: Missed) -> Result<()> {
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let records = &self.shared.records;
        let entry = HistoryEntry::Missed(missed);
        records.append(id, &mut live.state.pages, entry).await?;
        let (job, name) = (id.clone(), live.name());
        self.tell(DirectorEvent::Missed { job, name, missed });
        Ok(())
    }
}
