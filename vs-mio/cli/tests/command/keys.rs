//! Keys: files that are made, and networks on which nothing starts without.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::starts::{FAILED, USAGE, refused};
use crate::world::{GROUP, Process, World, directory, is_view, multicast, vs};

/// Makes a key file; what is said of it.
pub(crate) fn keygen(args: &[&str]) -> String {
    let made = vs(&[&["keygen"], args].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).into_owned()
}

/// The lines of the keys in a file, without their secrets.
fn keys(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a key file");
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    keys.map(|key| key.rsplit_once(' ').expect("a secret").0.to_owned()).collect()
}

#[test]
fn network_other_than_loopback_asks_for_keys() {
    let says = ["is not loopback", "`vs keygen KEY`", "`--key-file KEY`", "`--insecure`"];
    let asked = |args: &[&str], ip: &str| refused(args, USAGE, &[&says[..], &[ip]].concat());
    let node = ["node", "--group", GROUP, "--id", "1"];
    asked(&[&node[..], &["--interface", "192.0.2.1"]].concat(), "192.0.2.1");
    let here = [&node[..], &["--interface", "127.0.0.1"]].concat();
    asked(&[&here[..], &["--listen", "0.0.0.0:0"]].concat(), "0.0.0.0");
    asked(&[&here[..], &["--peer", "192.0.2.1:7000"]].concat(), "192.0.2.1");
    asked(&[&here[..], &["--status", "[::]:0"]].concat(), "::");
    let server = ["--server", "192.0.2.1:7000", "--bind", "127.0.0.1"];
    asked(&[&node[..], &server].concat(), "192.0.2.1");
    asked(&["server", "--listen", "0.0.0.0:0"], "0.0.0.0");
    asked(&["kv", "--id", "1", "--interface", "192.0.2.1", "--group", "asked"], "192.0.2.1");
    asked(&["perf", "--bind", "192.0.2.1"], "192.0.2.1");
    asked(&["status", "192.0.2.1:7000"], "192.0.2.1");
    refused(&[&here[..], &["--key-file", "K", "--insecure"]].concat(), USAGE, &["--insecure"]);
}

#[test]
fn key_file_is_made_rotated_and_handed_to_members() {
    let dir = directory("keys-made");
    let path = |name: &str| dir.join(name).to_str().expect("a path of letters").to_owned();
    let (key, new, members) = (path("KEY"), path("NEW"), path("MEMBERS"));
    let said = keygen(&[&key]);
    assert!(said.contains(&format!("--key-file {key}")), "{said}");
    assert_eq!(fs::metadata(&key).expect("a key file").mode() & 0o777, 0o600);
    assert_eq!(keys(&key), ["1 aes-256-gcm"]);
    refused(&["keygen", &key], FAILED, &["is there already"]);
    keygen(&[&new, "--add", &key, "--suite", "chacha20-poly1305"]);
    assert_eq!(keys(&new), ["1 aes-256-gcm", "2 chacha20-poly1305"]);
    keygen(&[&members, "--members", &new]);
    let of_members = keys(&members);
    assert_eq!(of_members.len(), 2);
    assert!(of_members[0].starts_with("1 aes-256-gcm member"), "{of_members:?}");
    refused(&["keygen", &path("X"), "--add", &members], FAILED, &["--add"]);
    refused(&["keygen", &path("X"), "--add", &new, "--id", "2"], FAILED, &["the id 2"]);
    refused(&["keygen", &path("X"), "--suite", "rot13"], USAGE, &["aes-256-gcm or chacha20"]);
    assert!(!Path::new(&path("X")).exists());
}

#[test]
fn key_file_that_cannot_be_used_is_named() {
    let dir = directory("keys-unusable");
    let path = |name: &str| dir.join(name).to_str().expect("a path of letters").to_owned();
    let (key, members) = (path("KEY"), path("MEMBERS"));
    let multicast = multicast();
    let here = ["node", "--group", GROUP, "--id", "1", "--interface", "127.0.0.1"];
    let here = [&here[..], &["--multicast", &multicast]].concat();
    let with = |file: &str, words: &[&str]| {
        refused(&[&here[..], &["--key-file", file]].concat(), FAILED, words);
    };
    with(&key, &["there is no key file", &format!("`vs keygen {key}`")]);
    keygen(&[&key]);
    keygen(&[&members, "--members", &key]);
    with(&members, &["those of members"]);
    let server = ["server", "--listen", "127.0.0.1:0", "--key-file", &members];
    refused(&server, FAILED, &["one for members"]);
    let status = [&here[..], &["--key-file", &key, "--status", "0.0.0.0:0"]].concat();
    refused(&status, USAGE, &["0.0.0.0", "not sealed", "--status"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a file of our own");
    with(&key, &[&format!("`chmod 600 {key}`")]);
}

/// From the file, or from the environment, where lines of the file may stand behind each other.
#[test]
fn nodes_with_keys_from_file_and_environment_meet() {
    let dir = directory("keys-taken");
    let key = dir.join("KEY").to_str().expect("a path of letters").to_owned();
    keygen(&[&key]);
    let multicast = multicast();
    let here = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--multicast", &multicast];
    let [first, second] = ["1", "2"].map(|id| [&here[..], &["--id", id]].concat());
    let lines = fs::read_to_string(&key).expect("a key file").replace('\n', ";");
    let by_file = Process::start(&[&first[..], &["--key-file", &key]].concat());
    let by_environment = Process::start_with_env("VS_KEY", &lines, &second);
    let mut nodes = [by_file, by_environment];
    for node in &mut nodes {
        node.wait("a view of both", |line| is_view(line, "1,2", None).then_some(()));
    }
    nodes.iter_mut().for_each(Process::leave);
    let mut wrong = Process::start_with_env("VS_KEY", "1 aes-256-gcm 00", &first);
    wrong.wait_for_end(|_| {});
    let said = wrong.complaints().join("\n");
    assert!(said.contains("the keys in VS_KEY cannot be used: line 1"), "{said}");
}

/// One has keys, one has none, and one has others. Nobody meets, and each says why.
#[test]
fn nodes_that_seal_otherwise_do_not_meet_and_are_told() {
    let dir = directory("keys-differ");
    let path = |name: &str| dir.join(name).to_str().expect("a path of letters").to_owned();
    let (key, other) = (path("KEY"), path("OTHER"));
    keygen(&[&key]);
    keygen(&[&other]);
    let multicast = multicast();
    let here = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--multicast", &multicast];
    let start = |id, keys: &[&str]| Process::start(&[&here[..], &["--id", id], keys].concat());
    let nodes = [
        (start("1", &["--key-file", &key]), "beacons are not sealed"),
        (start("2", &["--key-file", &other]), "with a key of id 1 and do not open here"),
        (start("3", &[]), "beacons are sealed, and this server has no keys"),
    ];
    for (at, (mut node, says)) in nodes.into_iter().enumerate() {
        let id = (at + 1).to_string();
        node.wait_for_complaint("why", |line| line.contains(says).then_some(()));
        node.wait("a view", |line| is_view(line, &id, None).then_some(()));
        node.type_line("nobody else hears this");
        node.wait("it", |line| line.ends_with("nobody else hears this").then_some(()));
        node.kill();
    }
}

/// A server with keys of servers, a node with those of members, and who asks for the status.
#[test]
fn server_and_member_seal_and_tell_why_others_are_refused() {
    let dir = directory("keys-of-members");
    let path = |name: &str| dir.join(name).to_str().expect("a path of letters").to_owned();
    let (key, other, members) = (path("KEY"), path("OTHER"), path("MEMBERS"));
    keygen(&[&key]);
    keygen(&[&other]);
    keygen(&[&members, "--members", &key]);
    let world = World::new("keys-of-members-world", &["--key-file", &key]);
    let desk = ["--key-file", &members, "--status", "127.0.0.1:0"];
    let mut node = world.node(1, &desk);
    node.wait("a view", |line| is_view(line, "1", None).then_some(()));
    let at_node = node.wait_for_complaint("where to ask", |line| {
        line.split_once("vs status ").map(|(_, addr)| addr.to_owned())
    });
    let at_server = &world.server_addr;
    for addr in [at_server, &at_node] {
        let told = vs(&["status", "--key-file", &members, addr]);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
    let refuses = |args: &[&str], says| {
        refused(&[&["status", at_server], args].concat(), FAILED, &[says]);
    };
    refuses(&[], "answers only who has a key of its deployment");
    refuses(&["--key-file", &other], "the key 1 is another one at the other side");
    let with_key = ["--key-file", &members, "--deployment", "test"];
    refuses(&with_key, "or its deployment is");
    let mut stranger = world.node(2, &["--key-file", &other]);
    stranger.wait_for_complaint("why", |line| {
        line.contains("the key 1 is another one at the other side").then_some(())
    });
    stranger.kill();
    let mut clear = world.node(3, &[]);
    clear.wait_for_complaint("why", |line| line.contains("has a key and seals").then_some(()));
    clear.kill();
    world.end([node]);
}
