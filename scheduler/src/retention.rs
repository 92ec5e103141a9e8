//! Which recovery points a policy keeps, why, and until when.
//!
//! The scheme is grandfather-father-son: the last N points, and the last point of each of the last N days, weeks, months
//! and years, each rule on or off, the union of all of them kept. Three choices make it safe:
//!
//! * **A worse point never takes a better one's place.** The rules are applied to the complete points alone, then to
//!   complete and partial points together, then to all of them; what any pass keeps is kept. A mailbox whose every run is
//!   partial has a history all the same, and a bad week pushes no good point out.
//! * **Periods are counted only where points are.** "Seven days" means the last seven days that have a point, so a backup
//!   that stopped keeps its history, and a clock that jumps ahead ages nothing.
//! * **"Last" is the order of commits, not of clocks.** A point committed while the clock stood in 1970 is still the
//!   newest for [`Rule::Last`], and the newest complete point by that order is kept whatever the policy says.

mod plan;
mod policy;

pub use plan::{Kept, PlannedPoint, Point, Protection, Quality, RetentionPlan, Until, plan_retention};
pub use policy::{MAX_KEEP, RetentionError, RetentionPolicy, Rule};
