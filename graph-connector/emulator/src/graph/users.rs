//! The directory: organisation, users, mailbox settings.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::odata::{self, Select};
use crate::graph::{Call, json as shape, links};
use crate::http::reply::{GraphError, Reply};

type Answer = Result<Reply, GraphError>;

pub(crate) fn organization(call: &Call<'_>) -> Answer {
    let world = call.world;
    let domain = &world.generator().domain;
    let select = Select::parse(call.request.option("$select"));
    let all = json!({
        "id": world.directory_id,
        "displayName": "Fabrika",
        "assignedPlans": [{
            "assignedDateTime": clock::iso(clock::BASE_MS - 900 * 86_400_000),
            "capabilityStatus": "Enabled",
            "service": "exchange",
            "servicePlanId": "efb87545-963c-4e0d-99df-69c6916d9eb0",
        }],
        "businessPhones": ["+49 30 5550100"],
        "city": "Berlin",
        "country": null,
        "countryLetterCode": "DE",
        "createdDateTime": clock::iso(clock::BASE_MS - 2000 * 86_400_000),
        "preferredLanguage": "en",
        "tenantType": "AAD",
        "verifiedDomains": [{
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": true,
            "isInitial": false,
            "name": domain,
            "type": "Managed",
        }],
    });
    let value: Map<String, Value> = match all {
        Value::Object(map) => map
            .into_iter()
            .filter(|(n, _)| n == "id" || select.wants(n))
            .collect(),
        _ => Map::new(),
    };
    let context = format!(
        "{}/$metadata#organization{}",
        world.graph_url(),
        select.context(call.request)
    );
    Ok(
        Reply::json(200, json!({"@odata.context": context, "value": [value]}))
            .with("x-ms-resource-unit", "1"),
    )
}

/// `GET /users`: default page 100, at most 999.
pub(crate) fn list(call: &Call<'_>) -> Answer {
    let (world, request) = (call.world, call.request);
    let select = Select::parse(request.option("$select"));
    if select.names("mailboxSettings") {
        return Err(GraphError::new(
            400,
            "Request_BadRequest",
            "mailboxSettings cannot be selected in a collection of users.",
        ));
    }
    let top = odata::number(request, "$top")?.unwrap_or(100);
    if top == 0 || top > 999 {
        return Err(GraphError::new(
            400,
            "Request_BadRequest",
            format!("Invalid page size specified: '{top}'. Must be between 1 and 999 inclusive."),
        ));
    }
    let skip: usize = match request.option("$skiptoken") {
        None => 0,
        Some(token) => token
            .strip_prefix("RFNwdAIAAQ")
            .and_then(|t| u32::from_str_radix(t, 16).ok())
            .ok_or_else(|| GraphError::new(400, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request."))?
            as usize,
    };
    let eventual = request
        .header("consistencylevel")
        .is_some_and(|v| v.eq_ignore_ascii_case("eventual"));
    let counted = request
        .option("$count")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let filter = request.option("$filter").unwrap_or("").to_owned();
    let users: Vec<_> = world
        .all_users()
        .into_iter()
        .filter(|u| user_filter(&filter, u).unwrap_or(true))
        .collect();
    if world
        .all_users()
        .iter()
        .any(|u| user_filter(&filter, u).is_none())
    {
        return Err(GraphError::new(
            400,
            "Request_UnsupportedQuery",
            "Unsupported Query.",
        ));
    }
    let advanced = filter.contains(" ne ")
        || filter.to_lowercase().contains("endswith")
        || filter.to_lowercase().contains("not ");
    if (advanced || request.option("$search").is_some()) && !(eventual && counted) {
        return Err(GraphError::new(
            400,
            "Request_UnsupportedQuery",
            "Operator is not supported without $count=true and ConsistencyLevel: eventual.",
        ));
    }
    let page: Vec<Value> = users
        .iter()
        .skip(skip)
        .take(top)
        .map(|u| Value::Object(shape::user(u, &select, world.seed)))
        .collect();
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users{}",
            world.graph_url(),
            select.context(request)
        )),
    );
    if counted && eventual {
        body.insert("@odata.count".into(), json!(users.len()));
    }
    if skip + page.len() < users.len() {
        let next = format!("RFNwdAIAAQ{:x}", skip + page.len());
        let mut options: Vec<(&str, &str)> = Vec::new();
        for name in ["$select", "$top", "$filter", "$count", "$orderby"] {
            if let Some(value) = request.option(name) {
                options.push((name, value));
            }
        }
        options.push(("$skiptoken", &next));
        body.insert(
            "@odata.nextLink".into(),
            json!(links::link(world, &["users"], &options, skip as u64)),
        );
    }
    body.insert("value".into(), Value::Array(page));
    Ok(Reply::json(200, Value::Object(body)).with("x-ms-resource-unit", "2"))
}

/// The filters on users that clients of mail use; `None`: not supported.
fn user_filter(filter: &str, user: &crate::world::User) -> Option<bool> {
    let filter = filter.trim();
    if filter.is_empty() {
        return Some(true);
    }
    let lower = filter.to_lowercase();
    let value = odata::quoted(filter)
        .into_iter()
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let p = &user.person;
    match lower.split(['(', ' ']).next().unwrap_or("") {
        "startswith" if lower.contains("displayname") => Some(p.display.to_lowercase().starts_with(&value)),
        "startswith" if lower.contains("userprincipalname") || lower.contains("mail") => {
            Some(p.address.to_lowercase().starts_with(&value))
        }
        "accountenabled" => Some(lower.ends_with("true") == p.enabled),
        "userprincipalname" | "mail" if lower.contains(" eq ") => Some(p.address.to_lowercase() == value),
        "id" if lower.contains(" eq ") => Some(p.id == value),
        // All users are members and none is synchronised: what remains is who matches "not a guest".
        "usertype" | "onpremisessyncenabled" => {
            Some(lower.contains("ne 'guest'") || lower.contains("eq 'member'"))
        }
        _ => None,
    }
}

pub(crate) fn count(call: &Call<'_>) -> Answer {
    if !call
        .request
        .header("consistencylevel")
        .is_some_and(|v| v.eq_ignore_ascii_case("eventual"))
    {
        return Err(GraphError::new(
            400,
            "Request_BadRequest",
            "$count is not currently supported without ConsistencyLevel: eventual.",
        ));
    }
    Ok(Reply::bytes(
        200,
        "text/plain",
        call.world.all_users().len().to_string(),
    ))
}

pub(crate) fn get(call: &Call<'_>, id: &str) -> Answer {
    let user = call.user(id)?;
    let select = Select::parse(call.request.option("$select"));
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users{}/$entity",
            call.world.graph_url(),
            select.context(call.request)
        )),
    );
    map.extend(shape::user(&user, &select, call.world.seed));
    Ok(Reply::json(200, Value::Object(map)).with("x-ms-resource-unit", "1"))
}

pub(crate) fn settings(call: &Call<'_>, id: &str) -> Answer {
    let user = call.mailbox_user(id)?;
    let purpose = json!(user.person.purpose);
    let purpose = if call.world.settings().user_purpose_object {
        json!({"value": purpose})
    } else {
        purpose
    };
    let select = Select::parse(call.request.option("$select"));
    let all = json!({
        "automaticRepliesSetting": {
            "status": "disabled",
            "externalAudience": "all",
            "scheduledStartDateTime": {"dateTime": "2026-01-05T08:00:00.0000000", "timeZone": "UTC"},
            "scheduledEndDateTime": {"dateTime": "2026-01-06T08:00:00.0000000", "timeZone": "UTC"},
            "internalReplyMessage": "",
            "externalReplyMessage": "",
        },
        "archiveFolder": user.lock().and_then(|m| m.find_folder("archive").map(|f| m.folder_id(f))),
        "timeZone": "UTC",
        "language": {"locale": "en-US", "displayName": "English (United States)"},
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": "Pacific Standard Time"},
        },
        "userPurpose": purpose,
        "dateFormat": "MM/dd/yyyy",
        "timeFormat": "hh:mm tt",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
    });
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users('{}')/mailboxSettings",
            call.world.graph_url(),
            user.person.id
        )),
    );
    if let Value::Object(all) = all {
        map.extend(all.into_iter().filter(|(n, _)| select.wants(n)));
    }
    Ok(Reply::json(200, Value::Object(map)))
}

pub(crate) fn purpose(call: &Call<'_>, id: &str) -> Answer {
    let user = call.mailbox_user(id)?;
    Ok(Reply::json(
        200,
        json!({
            "@odata.context":
                format!("{}/$metadata#users('{}')/mailboxSettings/userPurpose", call.world.graph_url(), user.person.id),
            "value": user.person.purpose,
        }),
    ))
}
