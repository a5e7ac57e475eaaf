//! Writes the inputs to begin with; again after each change of the wire format.
fn main() -> std::io::Result<()> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/wire");
    std::fs::create_dir_all(&dir)?;
    for (name, input) in vs_fuzz::seeds() {
        std::fs::write(dir.join(name), input)?;
    }
    Ok(())
}
