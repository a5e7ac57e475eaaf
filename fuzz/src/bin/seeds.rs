//! Writes the initial inputs, one directory for each target. Run it again after a change of the
//! wire format.

use vs_fuzz::{api, frames, node, sealed, trace, wire, world};

fn main() -> std::io::Result<()> {
    for (target, seeds) in [
        ("api", api::seeds()),
        ("frames", frames::seeds()),
        ("node", node::seeds()),
        ("sealed", sealed::seeds()),
        ("trace", trace::seeds()),
        ("wire", wire::seeds()),
        ("world", world::seeds()),
    ] {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&dir)?;
        for (name, input) in seeds {
            std::fs::write(dir.join(name), input)?;
        }
    }
    Ok(())
}
