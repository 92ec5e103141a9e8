//! `nakivo point show|protect|describe|delete|diff`, `nakivo retention` and `nakivo repo reclaim`.

use futures::TryStreamExt as _;
use nakivo_core::format::Manifest;
use nakivo_core::format::ids::{ObjectId, PointId};
use nakivo_core::format::manifest::{ObjectRecord, Protection};
use nakivo_core::registry::Registry;
use nakivo_core::repository::{
    ItemChange, PointCriterion, PointFilter, PointSelector, ReclaimOptions, Repository,
};
use nakivo_core::retention::{Calendar, PlannedPoint, RetentionPlan, RetentionPolicy};
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::backup::{label, short};
use super::point;
use crate::exit::Exit;
use crate::grammar::{
    PointArgs, PointDelete, PointDescribe, PointDiff, PointProtect, RepoReclaim, Retention, RetentionArgs,
};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Shows one point.
pub(super) async fn show(session: &Session, arguments: &PointArgs) -> Result<Exit> {
    let (repository, manifest) = point::select(session, arguments).await?;
    let damage = repository.point_damage(&manifest.id);
    let issues = match session.unless_cancelled(repository.ledger(&manifest)).await {
        // That it is damaged is what there is to show.
        Err(error) if damage.is_some() && error.kind() == ErrorKind::Corrupt => Vec::new(),
        issues => issues?,
    };
    let output = &session.output;
    let mut fields = point::fields(&manifest, damage.as_ref());
    fields["issues"] = issues
        .iter()
        .map(|issue| {
            json!({
                "kind": issue.kind,
                "path": issue.path,
                "code": issue.cause.code,
                "message": issue.cause.message,
                "retry": issue.retry,
            })
        })
        .collect();
    output.record("point", &fields);
    let lines = [
        ("point", manifest.id.to_string()),
        ("object", label(&manifest.object)),
        ("time", text::moment_ms(manifest.started_ms)),
        ("finished", text::moment_ms(manifest.finished_ms)),
        ("outcome", manifest.outcome.to_string()),
        ("damaged", point::damage_words(damage.as_ref())),
        (
            "built on",
            manifest
                .base
                .map_or_else(|| "nothing".to_owned(), |base| base.to_string()),
        ),
        ("items", text::count(manifest.counts.items)),
        ("size", text::size(manifest.counts.bytes)),
        ("read", text::size(manifest.bytes_read)),
        ("stored", text::size(manifest.bytes_stored)),
        ("kept", protection_words(manifest.protection)),
        ("description", manifest.description.clone().unwrap_or_default()),
        ("written by", manifest.software.clone()),
    ];
    for (label, value) in lines {
        output.line(format!("{label:<14} {}", text::escape(&value)));
    }
    for issue in &issues {
        output.line(format!(
            "{}: {}: {}",
            issue.kind,
            text::escape(&issue.path),
            text::escape(&issue.cause.message)
        ));
    }
    Ok(Exit::Ok)
}

fn protection_words(protection: Protection) -> String {
    match protection {
        Protection::JobRetention => "as retention decides".to_owned(),
        Protection::Until(time) => format!("until {}", text::moment_ms(time)),
        _ => "forever".to_owned(),
    }
}

/// Sets how long a point is kept.
pub(super) async fn protect(session: &Session, arguments: &PointProtect) -> Result<Exit> {
    let protection = match (arguments.how.until, arguments.how.forever) {
        (Some(time), _) => Protection::Until(time),
        (None, true) => Protection::Forever,
        (None, false) => Protection::JobRetention,
    };
    let (repository, manifest) = point::select(session, &arguments.point).await?;
    let commit = session
        .unless_cancelled(repository.protect_point(manifest.id, protection))
        .await?;
    session.output.record(
        "protected",
        &json!({ "point": manifest.id.to_string(), "protection": point::protection(protection), "commit": commit }),
    );
    session.output.line(format!(
        "Point {} of {} is kept {}.",
        short(&manifest.id.to_string()),
        text::escape(&label(&manifest.object)),
        protection_words(protection)
    ));
    Ok(Exit::Ok)
}

/// Notes something about a point.
pub(super) async fn describe(session: &Session, arguments: &PointDescribe) -> Result<Exit> {
    let (repository, manifest) = point::select(session, &arguments.point).await?;
    let description = Some(arguments.text.clone()).filter(|text| !text.is_empty());
    let commit = session
        .unless_cancelled(repository.describe_point(manifest.id, description.clone()))
        .await?;
    session.output.record(
        "described",
        &json!({ "point": manifest.id.to_string(), "description": description, "commit": commit }),
    );
    session
        .output
        .line(format!("Noted for point {}.", short(&manifest.id.to_string())));
    Ok(Exit::Ok)
}

/// Which points a deletion means.
fn filter(session: &Session, repository: &Repository, arguments: &PointDelete) -> Result<PointFilter> {
    let which = &arguments.which;
    if which.all && arguments.objects.is_empty() && arguments.except_objects.is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, "--all: it is not said of which objects")
                .with_hint("Name them with --object NAME or --except-object NAME."),
        );
    }
    let ids = |names: &[String]| -> Result<Vec<ObjectId>> {
        let ids = names.iter().map(|name| Ok(repository.find_object(name)?.id));
        ids.collect()
    };
    let mut filter = PointFilter::default();
    let objects = ids(&arguments.objects)?;
    if !which.points.is_empty() {
        let points = which.points.iter().map(|digits| match objects.as_slice() {
            [object] => repository.point(object, &PointSelector::Id(digits.to_ascii_lowercase())),
            _ => repository.point_by_id(digits),
        });
        let ids: Result<Vec<PointId>> = points.map(|point| Ok(point?.id)).collect();
        filter = filter.with_points(ids?);
    }
    if !objects.is_empty() {
        filter = filter.with(PointCriterion::Objects(objects));
    }
    if !arguments.except_objects.is_empty() {
        filter = filter.with_not_of(ids(&arguments.except_objects)?);
    }
    if let Some(age) = which.older_than {
        let time = age.before(session.clock().now());
        filter = filter
            .with_older_than(time.ok_or_else(|| Error::invalid("age", "too long", "at most 200 years"))?);
    }
    if which.all_but.is_some() {
        filter = filter.with_all_but_latest();
    }
    if which.corrupted {
        filter = filter.with_damaged();
    }
    Ok(filter)
}

/// Deletes points.
pub(super) async fn delete(session: &Session, arguments: &PointDelete) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let filter = filter(session, &repository, arguments)?;
    let manifests = repository.all_points();
    let deletion = repository.delete_points(&filter, "deleted by hand", arguments.preview);
    let deleted = session.unless_cancelled(deletion).await?;
    let output = &session.output;
    let name = |id: &PointId| {
        let manifest = manifests.iter().find(|manifest| manifest.id == *id);
        manifest.map_or_else(
            || short(&id.to_string()).to_owned(),
            |manifest| {
                format!(
                    "{} of {}, {}",
                    short(&id.to_string()),
                    text::escape(&label(&manifest.object)),
                    text::moment_ms(manifest.started_ms)
                )
            },
        )
    };
    output.record(
        "deleted",
        &json!({
            "preview": arguments.preview,
            "deleted": ids(&deleted.deleted),
            "kept": ids(&deleted.kept),
            "commit": deleted.commit,
        }),
    );
    for id in &deleted.deleted {
        let word = if arguments.preview {
            "would delete"
        } else {
            "deleted"
        };
        output.line(format!("{word} {}", name(id)));
    }
    for id in &deleted.kept {
        output.line(format!("protected {}", name(id)));
    }
    let count = text::counted(deleted.deleted.len() as u64, "recovery point");
    output.line(if arguments.preview {
        format!("{count} would be deleted.")
    } else if deleted.deleted.is_empty() {
        "Nothing to delete.".to_owned()
    } else {
        format!("{count} deleted. Free their space with: nakivo repo reclaim")
    });
    Ok(Exit::Ok)
}

fn ids(points: &[PointId]) -> Vec<String> {
    points.iter().map(ToString::to_string).collect()
}

/// Lists what differs between two points.
pub(super) async fn diff(session: &Session, arguments: &PointDiff) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let object = repository.find_object(&arguments.object)?;
    let old = repository.point(&object.id, &arguments.old.parse()?)?;
    let new = repository.point(&object.id, &arguments.new.parse()?)?;
    let output = &session.output;
    let mut counts = [0u64; 3];
    let mut changes = repository.diff(old.root, new.root);
    while let Some(change) = session.unless_cancelled(changes.try_next()).await? {
        let (at, word, key, record) = match &change {
            ItemChange::Added(key, record) => (0, "added", key, record),
            ItemChange::Removed(key, record) => (1, "removed", key, record),
            ItemChange::Changed { key, new, .. } => (2, "changed", key, new),
        };
        counts[at] += 1;
        output.record(
            "change",
            &json!({
                "change": word,
                "kind": record.kind,
                "id": key.id(),
                "container": key.container(),
                "name": record.name,
                "size": record.size,
            }),
        );
        output.line(format!(
            "{word:<8} {} ({})",
            text::escape(&record.name),
            text::size(record.size)
        ));
        if output.closed() {
            break;
        }
    }
    let [added, removed, changed] = counts;
    output.record(
        "summary",
        &json!({
            "old": old.id.to_string(),
            "new": new.id.to_string(),
            "added": added,
            "removed": removed,
            "changed": changed,
        }),
    );
    output.line(format!(
        "{} added, {} changed, {} removed.",
        text::count(added),
        text::count(changed),
        text::count(removed)
    ));
    Ok(Exit::Ok)
}

/// Plans or applies retention.
pub(super) async fn retention(session: &Session, command: &Retention) -> Result<Exit> {
    let (arguments, apply) = match command {
        Retention::Plan(arguments) => (arguments, false),
        Retention::Apply(arguments) => (arguments, true),
    };
    let repository = session.open(&arguments.repository).await?;
    let (policy, calendar) = policy(arguments);
    let objects: Vec<ObjectRecord> = if arguments.objects.is_empty() {
        repository
            .objects()
            .into_iter()
            .map(|summary| summary.object)
            .collect()
    } else {
        arguments
            .objects
            .iter()
            .map(|name| repository.find_object(name))
            .collect::<Result<_>>()?
    };
    let (mut kept, mut removed) = (0u64, 0u64);
    for object in &objects {
        let manifests = repository.points(&object.id);
        let plan = if apply {
            session
                .unless_cancelled(repository.apply_retention(&object.id, &policy, &calendar))
                .await?
                .plan
        } else {
            repository.plan_retention(&object.id, &policy, &calendar)?
        };
        removed += plan.removed().count() as u64;
        kept += plan.kept().count() as u64;
        render_plan(session, object, &manifests, &plan, apply);
    }
    session.output.record(
        "summary",
        &json!({ "applied": apply, "kept": kept, "removed": removed }),
    );
    let count = text::counted(removed, "recovery point");
    session.output.line(match (apply, removed) {
        (_, 0) => "Every recovery point stays.".to_owned(),
        (true, _) => format!(
            "{count} removed, {} stay. Free their space with: nakivo repo reclaim",
            text::count(kept)
        ),
        (false, _) => format!("{count} would be removed, {} would stay.", text::count(kept)),
    });
    Ok(Exit::Ok)
}

fn policy(arguments: &RetentionArgs) -> (RetentionPolicy, Calendar) {
    let policy = RetentionPolicy {
        last: arguments.last,
        daily: arguments.daily,
        weekly: arguments.weekly,
        monthly: arguments.monthly,
        yearly: arguments.yearly,
    };
    let calendar = Calendar {
        zone: arguments.time_zone,
        first_day_of_week: arguments.first_day_of_week,
    };
    (policy, calendar)
}

fn render_plan(
    session: &Session,
    object: &ObjectRecord,
    manifests: &[Manifest],
    plan: &RetentionPlan<PointId>,
    applied: bool,
) {
    let mut table = Table::new(&["POINT", "TIME", "OUTCOME", "STAYS", "WHY"]);
    session.output.line(format!("{}:", text::escape(&label(object))));
    for PlannedPoint { id, kept } in &plan.points {
        let reasons: Vec<String> = kept.iter().map(ToString::to_string).collect();
        session.output.record(
            "retention",
            &json!({
                "object": label(object),
                "object_id": object.id.to_string(),
                "point": id.to_string(),
                "kept": !kept.is_empty(),
                "applied": applied,
                "reasons": reasons,
            }),
        );
        let manifest = manifests.iter().find(|manifest| manifest.id == *id);
        table.row([
            short(&id.to_string()).to_owned(),
            manifest
                .map(|manifest| text::moment_ms(manifest.started_ms))
                .unwrap_or_default(),
            manifest
                .map(|manifest| manifest.outcome.to_string())
                .unwrap_or_default(),
            if kept.is_empty() { "no" } else { "yes" }.to_owned(),
            reasons.join("; "),
        ]);
    }
    table.print(&session.output);
}

/// Frees what nothing needs.
pub(super) async fn reclaim(session: &Session, arguments: &RepoReclaim) -> Result<Exit> {
    let repository: Repository = session.open_place(&arguments.place).await?;
    let options = ReclaimOptions::default()
        .with_preview(arguments.preview)
        .with_grace(arguments.grace)
        .with_rewrite_below_percent(arguments.rewrite_below);
    let report = session.follow("reclaim", repository.reclaim(options)).await?;
    let output = &session.output;
    let mut fields = serde_json::to_value(&report)
        .map_err(|error| Error::internal(format!("a report cannot be written as JSON: {error}")))?;
    fields["reclaimable_bytes"] = json!(report.reclaimable_bytes());
    output.record("reclaim", &fields);
    if report.preview
        && let Some(entry) = session.known_as(&arguments.place.url).await?
    {
        let registry = Registry::new(&session.environment);
        let reclaimable = Some(report.reclaimable_bytes());
        registry.note_space(&entry.name, None, reclaimable).await?;
    }
    let lines = [
        ("stored", text::size(report.stored_bytes)),
        ("needed", text::size(report.needed_bytes)),
        (
            "unused",
            format!(
                "{} in {}",
                text::size(report.unused_bytes),
                text::counted(report.unused_packs, "pack")
            ),
        ),
        (
            if report.preview { "to rewrite" } else { "rewritten" },
            format!(
                "{} of {} needed in {}",
                text::size(report.moved_bytes),
                text::size(report.rewritten_bytes),
                text::counted(report.rewritten_packs, "pack")
            ),
        ),
        (
            "left behind",
            format!(
                "{} in {}",
                text::size(report.stray_bytes),
                text::counted(report.stray_packs, "pack")
            ),
        ),
        (
            "deleted",
            format!(
                "{} in {}",
                text::size(report.freed_bytes),
                text::counted(report.deleted_objects, "object")
            ),
        ),
    ];
    for (label, value) in lines {
        output.line(format!("{label:<14} {value}"));
    }
    if let Some(line) = super::locks::reclaim_line(&report) {
        output.line(line);
    }
    output.line(if report.preview {
        format!("{} can be freed.", text::size(report.reclaimable_bytes()))
    } else if report.locked_objects > 0 {
        "What is locked stays; run this again after that time to delete it.".to_owned()
    } else if report.waiting_packs > 0 {
        format!(
            "{} unused and kept for the grace time; run this again after it to delete them.",
            text::plural(report.waiting_packs, "pack is", "packs are")
        )
    } else {
        "Nothing is left to free.".to_owned()
    });
    Ok(Exit::Ok)
}
