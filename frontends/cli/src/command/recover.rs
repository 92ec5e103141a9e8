//! `nakivo recover`: items of a recovery point go back to Microsoft 365.

use nakivo_core::connector::OnConflict;
use nakivo_core::format::{ObjectKind, ObjectRecord};
use nakivo_core::recovery::{
    self, ItemOutcome, Outcome, PlannedAction, PointView, RecoveryPlan, RecoveryReport, Target,
};
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::backup::label;
use super::{account, point};
use crate::exit::Exit;
use crate::grammar::{ConflictChoice, Recover};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Before the address of a user: the user's drive.
const DRIVE: &str = "onedrive:";

/// Plans, shows the plan or carries it out.
pub(super) async fn run(session: &Session, arguments: &Recover) -> Result<Exit> {
    let connector = account::connect(session, &arguments.account)?;
    let (repository, manifest) = point::select(session, &arguments.point).await?;
    let maybe_older = point::maybe_older(&repository, &arguments.point)?;
    let view = PointView::open(&repository, manifest.clone());
    let selection = point::selection(session, &view, &arguments.selection).await?;
    let drive = arguments
        .to_drive
        .as_ref()
        .map(|address| match address.strip_prefix(DRIVE) {
            Some(_) => address.clone(),
            None => format!("{DRIVE}{address}"),
        });
    let other = arguments
        .to_mailbox
        .clone()
        .or(drive)
        .or_else(|| arguments.to_site.clone());
    let target = match other {
        Some(name) => {
            let target = session.unless_cancelled(connector.find_object(&name)).await?;
            same_kind(&manifest.object, &target)?;
            Target::Object(target)
        }
        None => Target::Original,
    };
    let on_conflict = match arguments.on_conflict {
        ConflictChoice::Rename => OnConflict::Rename,
        ConflictChoice::Skip => OnConflict::Skip,
        ConflictChoice::Overwrite => OnConflict::Overwrite,
    };
    let planning = recovery::plan(&repository, &manifest, selection, &connector, target, on_conflict);
    let plan = session.follow("plan", planning).await?;
    if arguments.preview {
        let exit = preview(session, &plan, arguments.partial.partial_ok, maybe_older);
        return Ok(point::end(session, exit, maybe_older));
    }
    let applying = recovery::apply(&repository, plan, &connector);
    let report = session.follow("recover", applying).await?;
    let exit = render(session, &report, arguments.partial.partial_ok, maybe_older);
    Ok(point::end(session, exit, maybe_older))
}

/// Messages go to mailboxes, and files to drives and sites.
fn same_kind(object: &ObjectRecord, target: &ObjectRecord) -> Result<()> {
    let files = |kind| matches!(kind, ObjectKind::Drive | ObjectKind::Site);
    if object.kind == target.kind || files(object.kind) && files(target.kind) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!(
            "'{}' is a {}, and '{}' a {}: what is in the one cannot go to the other",
            label(object),
            object.kind,
            label(target),
            target.kind
        ),
    )
    .with_hint(
        "Name a target of the same kind with --to-mailbox, --to-drive or --to-site, or use nakivo export.",
    ))
}

/// Shows what would be done.
fn preview(session: &Session, plan: &RecoveryPlan, partial_ok: bool, maybe_older: bool) -> Exit {
    let output = &session.output;
    let mut table = Table::new(&["ACTION", ">SIZE", "PATH", "WHY"]);
    for item in &plan.items {
        output.record("planned", item);
        let (action, why) = match &item.action {
            PlannedAction::Create => ("create", String::new()),
            PlannedAction::Rename { difference } => ("rename", difference.clone()),
            PlannedAction::SkipIdentical => ("skip", "identical".to_owned()),
            PlannedAction::SkipExisting { difference } => ("skip", difference.clone()),
            PlannedAction::Overwrite { difference, .. } => ("overwrite", difference.clone()),
            PlannedAction::Cannot { reason, .. } => ("cannot", reason.clone()),
        };
        if !output.json() {
            table.row([action.to_owned(), text::size(item.size), item.path.clone(), why]);
        }
    }
    if table.len() > 0 {
        table.print(output);
    }
    let counts = plan.counts();
    output.record(
        "plan",
        &json!({
            "target": label(&plan.target),
            "point": plan.point.to_string(),
            "counts": counts,
            "maybe_older": maybe_older,
        }),
    );
    output.line(format!(
        "To {}: {} to create, {} to rename, {} to overwrite, {} identical, {} left alone, {} impossible; {}. Nothing was \
         written.",
        text::escape(&label(&plan.target)),
        text::count(counts.create),
        text::count(counts.rename),
        text::count(counts.overwrite),
        text::count(counts.skip_identical),
        text::count(counts.skip_existing),
        text::count(counts.cannot),
        text::size(counts.bytes),
    ));
    if counts.cannot > 0 {
        Exit::partial(partial_ok)
    } else {
        Exit::Ok
    }
}

/// Shows what was done.
fn render(session: &Session, report: &RecoveryReport, partial_ok: bool, maybe_older: bool) -> Exit {
    let output = &session.output;
    for item in &report.items {
        let place = json!({ "id": item.id, "container": item.container, "path": item.path });
        let path = text::escape(&item.path);
        match &item.outcome {
            ItemOutcome::Recovered(recovered) => {
                let mut record = place;
                record["new_id"] = json!(recovered.id);
                record["location"] = json!(recovered.location);
                record["not_carried"] = json!(recovered.not_carried);
                output.record("recovered", &record);
                output.line(format!(
                    "recovered  {path}  to {}",
                    text::escape(&recovered.location)
                ));
                for what in &recovered.not_carried {
                    output.line(format!("           without {}", text::escape(what)));
                }
            }
            ItemOutcome::Skipped { why } => {
                let mut record = place;
                record["why"] = json!(why);
                output.record("skipped", &record);
                output.line(format!("skipped    {path}  {}", text::escape(why)));
            }
            ItemOutcome::Failed { code, message } => {
                let mut record = place;
                record["code"] = json!(code);
                record["message"] = json!(message);
                output.record("failed", &record);
                output.line(format!("FAILED     {path}  {} ({code})", text::escape(message)));
            }
        }
    }
    let counts = &report.counts;
    let partial = report.outcome != Outcome::Complete;
    output.record(
        "summary",
        &json!({
            "outcome": report.outcome,
            "target": label(&report.target),
            "point": report.point.to_string(),
            "recovered": counts.recovered,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "bytes": counts.bytes,
            "maybe_older": maybe_older,
        }),
    );
    output.line(format!(
        "To {}: {} recovered ({}), {} skipped, {} failed.",
        text::escape(&label(&report.target)),
        text::counted(counts.recovered, "item"),
        text::size(counts.bytes),
        text::count(counts.skipped),
        text::count(counts.failed),
    ));
    if partial {
        Exit::partial(partial_ok)
    } else {
        Exit::Ok
    }
}
