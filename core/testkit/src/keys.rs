//! An encrypted repository with two secrets, and what can be done to its keys: for the suites and for the crash child.

use std::sync::Arc;

use nakivo_core::format::{KdfParams, Passphrase, RecoveryKey, Secret};
use nakivo_core::repository::{
    CreateOptions, OpenOptions, ReclaimOptions, Repository, RotateOptions, SlotOptions,
};
use nakivo_core::seams::Environment;
use nakivo_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;

use crate::lab::{Lab, back_up};
use crate::random::SeededRng;
use crate::scenario::{Stage, mailbox};
use crate::scripted::ScriptedConnector;

/// Who holds a secret of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The key that the repository is created with.
    First,
    /// A passphrase that is added: with letters that have two forms.
    Second,
    /// A key that is not there at first.
    New,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::New];

    /// What opens the repository for this one.
    #[must_use]
    pub fn secret(self) -> Secret {
        let key = |seed| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&SeededRng::new(seed).bytes(32));
            RecoveryKey::from_random(bytes).into()
        };
        match self {
            Self::First => key(901),
            Self::Second => Passphrase::new("grün und geheim").into(),
            Self::New => key(902),
        }
    }

    fn label(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Opens the repository with this one's secret.
    ///
    /// # Errors
    /// Those of [`Repository::open`].
    pub async fn open(self, lab: &Lab) -> Result<Repository> {
        let options = OpenOptions::default().with_secret(Some(self.secret()));
        Repository::open(lab.store.clone(), options, lab.env.clone()).await
    }
}

/// Something done to the keys, by the first holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStep {
    /// The new holder's key is added.
    Add,
    /// The second holder's passphrase is removed.
    Remove,
    /// The first holder's key becomes that of the new one.
    Change,
    /// A new epoch begins; first and second stay.
    Rotate,
    /// A new epoch begins; the second is locked out.
    RotateAlone,
    /// What is sealed in older epochs is encrypted anew, a pack at a time.
    Reencrypt,
}

impl KeyStep {
    /// Every step.
    pub const ALL: [Self; 6] = [
        Self::Add,
        Self::Remove,
        Self::Change,
        Self::Rotate,
        Self::RotateAlone,
        Self::Reencrypt,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "key-add",
            Self::Remove => "key-remove",
            Self::Change => "key-change",
            Self::Rotate => "key-rotate",
            Self::RotateAlone => "key-rotate-alone",
            Self::Reencrypt => "key-reencrypt",
        }
    }

    /// Who must be able to open the repository wherever the step is interrupted: one of each group.
    #[must_use]
    pub fn always(self) -> &'static [&'static [Holder]] {
        use Holder::{First, New, Second};
        match self {
            Self::Add | Self::Rotate | Self::Reencrypt => &[&[First], &[Second]],
            Self::Remove | Self::RotateAlone => &[&[First]],
            Self::Change => &[&[First, New], &[Second]],
        }
    }

    /// Who opens it in the end; the others do not.
    #[must_use]
    pub fn finally(self) -> &'static [Holder] {
        use Holder::{First, New, Second};
        match self {
            Self::Add => &[First, Second, New],
            Self::Remove | Self::RotateAlone => &[First],
            Self::Change => &[Second, New],
            Self::Rotate | Self::Reencrypt => &[First, Second],
        }
    }
}

/// An encrypted repository of the first and the second holder, with two points of the fixed mailbox.
///
/// # Errors
/// Those of the calls it makes.
pub async fn create(store: Arc<dyn ObjectStore>, env: Environment) -> Result<Repository> {
    create_of(store, env, &[mailbox(Stage::First), mailbox(Stage::Second)]).await
}

/// An encrypted repository of the first and the second holder, with a point of each of these sources.
///
/// # Errors
/// Those of the calls it makes.
pub async fn create_of(
    store: Arc<dyn ObjectStore>,
    env: Environment,
    sources: &[ScriptedConnector],
) -> Result<Repository> {
    let options = CreateOptions::encrypted(Holder::First.secret()).with_description(Holder::First.label());
    let repository = Repository::create(store, options, env).await?;
    repository
        .add_key_slot(
            Holder::Second.secret(),
            SlotOptions::default()
                .with_label(Holder::Second.label())
                .with_kdf(KdfParams::FLOOR),
        )
        .await?;
    for source in sources {
        back_up(&repository, source).await?;
    }
    Ok(repository)
}

/// Re-encryption without a grace period, committed pack by pack.
#[must_use]
pub fn at_once() -> ReclaimOptions {
    ReclaimOptions::default()
        .with_grace(std::time::Duration::ZERO)
        .with_batch_bytes(1)
}

/// Does a step, or what an earlier try of it left to do.
///
/// # Errors
/// Those of the step.
pub async fn perform(step: KeyStep, lab: &Lab) -> Result<()> {
    let repository = match Holder::First.open(lab).await {
        Err(error) if step == KeyStep::Change && error.kind() == ErrorKind::WrongPassphrase => {
            return Holder::New.open(lab).await.map(drop);
        }
        opened => opened?,
    };
    match step {
        KeyStep::Add => {
            let options = SlotOptions::default().with_label(Holder::New.label());
            match repository.add_key_slot(Holder::New.secret(), options).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                added => added.map(drop),
            }
        }
        KeyStep::Remove => {
            let label = Holder::Second.label();
            let slots = repository.key_slots().await?.slots;
            match slots.into_iter().find(|slot| slot.label == label) {
                Some(slot) => repository.remove_key_slot(&slot.id).await.map(drop),
                None => Ok(()),
            }
        }
        KeyStep::Change => {
            let options = SlotOptions::default();
            repository
                .change_secret(Holder::New.secret(), options)
                .await
                .map(drop)
        }
        KeyStep::Rotate => {
            let options = RotateOptions::default().with_kept(Holder::Second.secret());
            repository.rotate_keys(options).await.map(drop)
        }
        KeyStep::RotateAlone => {
            let options = RotateOptions::default().with_drop_others(true);
            repository.rotate_keys(options).await.map(drop)
        }
        KeyStep::Reencrypt => {
            if repository.info().await?.epoch == 0 {
                return Err(Error::new(ErrorKind::Internal, "rotate first"));
            }
            repository.reencrypt(at_once()).wait().await.map(drop)
        }
    }
}
