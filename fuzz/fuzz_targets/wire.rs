//! Everything that reads bytes from outside. Without libFuzzer this program replays the files that it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| vs_fuzz::wire(input));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    let mut count = 0;
    for file in std::env::args_os().skip(1) {
        vs_fuzz::wire(&std::fs::read(file)?);
        count += 1;
    }
    println!("{count} inputs replayed");
    Ok(())
}
