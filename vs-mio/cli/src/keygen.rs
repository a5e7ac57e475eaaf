//! `vs keygen`: files of keys.

use std::path::PathBuf;

use vs_core::seal::{KEY_ID_MAX, KeyRing, RingKey, Suite};
use vs_std::keys::{generate, read_key_file, write_key_file};

use crate::failure::Failure;
use crate::output::say;

/// What `vs keygen` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "Makes a key file: who has it can take part, and all that goes over the network is sealed with it",
    after_help = "Example: vs keygen KEY, then copy KEY to each host and start with --key-file KEY\n\n\
                  To change the key without a pause, each step at all hosts before the next, with SIGHUP for each \
                  process:\n  \
                  1. vs keygen NEW --add KEY, and use NEW in place of KEY\n  \
                  2. move the line of the new key above the others: it seals from then on\n  \
                  3. remove the line of the old key"
)]
pub(crate) struct Args {
    /// The file that is made; one that is there already stays
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Id of the new key, the same at all hosts [default: the least that is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(KEY_ID_MAX)))]
    id: Option<u8>,
    /// How is sealed; chacha20-poly1305 is the faster one where processors have no AES [default:
    /// aes-256-gcm, or as the first key of --add]
    #[arg(long, value_name = "NAME", value_parser = suite)]
    suite: Option<Suite>,
    /// Take over the keys of this file, and add one behind them, which opens and does not seal yet
    #[arg(long, value_name = "FROM")]
    add: Option<PathBuf>,
    /// Make no key: write those of this file for hosts that have members, and may not have servers
    #[arg(long, value_name = "FROM", conflicts_with_all = ["id", "suite", "add"])]
    members: Option<PathBuf>,
}

fn suite(name: &str) -> Result<Suite, String> {
    let names = Suite::ALL.map(Suite::name).join(" or ");
    name.parse().map_err(|_| format!("there is no such suite: name {names}"))
}

/// Makes a file.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let file = args.file.display();
    let ring = match (&args.members, &args.add) {
        (Some(from), _) => read(from)?.of_members(),
        (None, Some(from)) => added(args, &read(from)?)?,
        (None, None) => {
            ring(vec![made(args.id.unwrap_or(1), args.suite.unwrap_or(Suite::Aes256Gcm))?])?
        }
    };
    write_key_file(&args.file, &ring).map_err(|e| Failure(e.to_string()))?;
    let keys: Vec<_> = ring.iter().map(|key| format!("{} ({})", key.id(), key.suite())).collect();
    let keys = keys.join(", ");
    if args.members.is_some() {
        say(format_args!(
            "wrote {file} for members: {keys}; who has it can be a member, no server"
        ));
        say(format_args!(
            "copy it to the hosts of members (scp -p {file} HOST:) and start: vs node --group chat --server HOST:7000 \
             --key-file {file}"
        ));
    } else {
        say(format_args!(
            "wrote {file}: {keys}; who has it can take part: let nobody else read it"
        ));
        say(format_args!(
            "copy it to each host (scp -p {file} HOST:) and start: vs node --group chat --key-file {file}"
        ));
    }
    Ok(())
}

fn read(from: &PathBuf) -> Result<KeyRing, Failure> {
    read_key_file(from).map_err(|e| Failure(e.to_string()))
}

fn ring(keys: Vec<RingKey>) -> Result<KeyRing, Failure> {
    KeyRing::new(keys).map_err(|e| Failure(format!("these keys do not go together: {e}")))
}

fn made(id: u8, suite: Suite) -> Result<RingKey, Failure> {
    let key = generate(id, suite).map_err(|e| Failure(format!("no key can be made: {e}")))?;
    key.ok_or_else(|| Failure(format!("{id} is no id of a key: name one from 1 to {KEY_ID_MAX}")))
}

/// The keys of `ring` with one more.
fn added(args: &Args, old: &KeyRing) -> Result<KeyRing, Failure> {
    if old.iter().any(|key| key.server().is_none()) {
        return Err(Failure(
            "that file is for members, and no key of servers follows from it: name the one that it was made from with \
             --add"
                .into(),
        ));
    }
    let free = || (1..=KEY_ID_MAX).find(|id| old.get(*id).is_none()).unwrap_or(KEY_ID_MAX);
    let id = args.id.unwrap_or_else(free);
    let key = made(id, args.suite.unwrap_or(old.first().suite()))?;
    ring(old.iter().cloned().chain([key]).collect())
}
