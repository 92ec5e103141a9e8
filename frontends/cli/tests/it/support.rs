//! Runs the program as a user does and looks at what it says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A recovery key, as it is printed.
pub(crate) const KEY: &str = include_str!("../../../../repo-format/tests/vectors/v1/recovery-key.txt");

/// The repository that most tests use, and how it is opened.
pub(crate) const OPEN: [&str; 4] = ["--repo", "file:vault", "--passphrase-file", "pass"];
/// The account that [`Emulator::start`] writes down.
pub(crate) const ACCOUNT: [&str; 2] = ["--account", "account.toml"];

/// A command on that repository.
pub(crate) fn all<'a>(head: &[&'a str]) -> Vec<&'a str> {
    [head, &OPEN[..]].concat()
}

/// A place of its own for one test: folders, a passphrase file, a state directory.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        place.write_secret("pass", "correct horse battery staple\n");
        place.write_secret("wrong", "something else\n");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A file that only its owner may read, as a careful user makes it.
    pub(crate) fn write_secret(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The program with these arguments, in this place, with nothing of the caller's environment that matters to it.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nakivo"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.path("home"))
            .env("NAKIVO_STATE_DIR", self.path("state"))
            .env_remove("NAKIVO_PASSPHRASE_FILE")
            .env_remove("NAKIVO_KEY_FILE")
            .env_remove("NAKIVO_STORE_CONFIG")
            .env_remove("NAKIVO_TO_PASSPHRASE_FILE")
            .env_remove("NAKIVO_TO_STORE_CONFIG")
            .env_remove("XDG_STATE_HOME")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        let shown = arguments
            .iter()
            .map(|argument| argument.as_ref().to_string_lossy().into_owned())
            .collect::<Vec<_>>();
        Ran::new(shown.join(" "), self.command(arguments).output().unwrap())
    }

    /// As [`Place::run`] with `--json`; every line must be a JSON object with a type.
    pub(crate) fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> (i32, Vec<Value>) {
        let mut with: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        with.push(OsStr::new("--json"));
        let ran = self.run(&with);
        (ran.code, ran.lines())
    }

    /// An encrypted repository in `vault`.
    pub(crate) fn init(&self) {
        self.run(&[
            "repo",
            "init",
            "file:vault",
            "--passphrase-file",
            "pass",
            "--compression",
            "fast",
        ])
        .ok();
    }

    /// Makes the repository in `vault` known under this name, with the passphrase file that [`Place::init`] used. Returns its
    /// record.
    #[track_caller]
    pub(crate) fn import(&self, name: &str) -> Value {
        self.import_with(name, &["--passphrase-file", "pass"])
    }

    /// As [`Place::import`], opened like this.
    #[track_caller]
    pub(crate) fn import_with(&self, name: &str, open: &[&str]) -> Value {
        let import = ["repo", "import", "file:vault", "--name", name];
        let (code, lines) = self.json(&[&import[..], open].concat());
        assert_eq!(code, 0, "{lines:?}");
        lines[0].clone()
    }

    /// Backs the folder `data` up as `files` into `vault`.
    #[track_caller]
    pub(crate) fn backup_data(&self) {
        self.run(&all(&["backup", "folder", "data", "--name", "files"]))
            .ok();
    }
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(command: String, output: Output) -> Self {
        let ran = Self {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "nakivo {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.stdout, self.stderr
        );
        self
    }

    /// Standard output as JSON lines, each checked.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("nakivo {}: not JSON ({error}): {line}", self.command));
                assert!(
                    value["type"].is_string(),
                    "nakivo {}: no type: {line}",
                    self.command
                );
                value
            })
            .collect()
    }
}

/// The lines of one type.
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// Runs the program with and without `--json`, and checks that both say the same about the error: this exit code, this
/// stable code, one line with a way out.
#[track_caller]
pub(crate) fn fails<S: AsRef<OsStr>>(
    place: &Place,
    arguments: &[S],
    code: i32,
    kind: &str,
) -> (String, Value) {
    let ran = place.run(arguments).exits(code);
    let errors: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "one line says what is wrong: {ran:?}");
    let (json_code, lines) = place.json(arguments);
    assert_eq!(json_code, code, "{lines:?}");
    let last = of_type(&lines, "error")
        .last()
        .copied()
        .unwrap_or_else(|| panic!("no error line: {lines:?}"))
        .clone();
    assert_eq!(last["code"], kind, "{last}");
    (errors[0].to_owned(), last)
}

/// A file tree as relative path and bytes.
pub(crate) fn tree(root: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, into: &mut std::collections::BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, into);
            } else {
                into.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    let mut into = std::collections::BTreeMap::new();
    walk(root, root, &mut into);
    into
}

/// `nakivo emulate` in a process of its own, stopped when dropped.
pub(crate) struct Emulator {
    child: Child,
    pub(crate) account: PathBuf,
    pub(crate) record: Value,
}

impl Emulator {
    /// Starts it with these further arguments and writes `account.toml`.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        use std::io::BufRead as _;
        let mut all = vec!["emulate", "--json"];
        all.extend(arguments);
        let mut child = place
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let record: Value = serde_json::from_str(&line).unwrap();
        let account = place.write_secret("account.toml", record["account"].as_str().unwrap());
        Self {
            child,
            account,
            record,
        }
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) -> i32 {
        interrupt(&self.child);
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends what Ctrl-C sends.
pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .arg("-INT")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Real mails that the project may read but does not contain; `None` (with the reason printed) where they are absent.
pub(crate) fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("NAKIVO_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    if corpus.is_dir() {
        return Some(corpus);
    }
    println!("SKIPPED: {} is not there", corpus.display());
    None
}
