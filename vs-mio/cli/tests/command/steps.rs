//! `--steps`: steps of the code as lines of JSON. What they are held against is a step of CI.

use std::path::Path;

use crate::world::vs;

/// Each line of `file`.
fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `args` writes its steps to a file that is not there yet, and to no other.
fn writes(name: &str, args: &[&str], runs: usize) {
    let dir = std::env::temp_dir().join(format!("vs-steps-{name}-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("steps");
    let args = [args, &["--steps", file.to_str().unwrap()]].concat();
    let output = vs(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = lines(&file);
    assert_eq!(lines[0]["steps"], 1);
    assert_eq!(lines.iter().filter(|line| line["end"] == true).count(), runs);
    let installs = lines.iter().filter(|line| line["action"]["is"] == "view").count();
    let views = lines.iter().filter(|line| line["state"]["cv"]["id"][0].as_u64() > Some(0));
    assert!(installs > 0 && views.count() > installs, "somebody did something in a view");
    let again = vs(&args);
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("remove it, or name another file"), "{said}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn simulated_worlds_write_steps() {
    writes("sim", &["sim", "--seeds", "0..2", "--refine"], 2);
}

#[test]
fn walks_write_steps() {
    writes("walks", &["explore", "change", "reborn", "--walks", "3", "--seed", "7"], 6);
}

/// Fault to avoid: an option that has no effect without another is taken in silence.
#[test]
fn steps_need_what_they_are_of() {
    for args in [
        &["sim", "--seed", "1", "--steps", "x"][..],
        &["explore", "change", "--steps", "x"],
        &["explore", "change", "--walks", "3"],
    ] {
        assert_eq!(vs(args).status.code(), Some(2), "{args:?}");
    }
}
