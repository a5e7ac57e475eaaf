//! The terminal: taken for as long as something is shown, and given back however that ends.

use std::io::{self, IsTerminal, Stdout, stdin, stdout};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::{CompletedFrame, Frame};

use crate::failure::Failure;

/// Says why nothing live can be shown here.
pub(super) fn check() -> Result<(), Failure> {
    let what = if !stdout().is_terminal() {
        "standard output is no terminal"
    } else if !stdin().is_terminal() {
        "standard input is no terminal"
    } else if is_dumb() {
        "the terminal cannot move its cursor, as TERM says"
    } else {
        return Ok(());
    };
    Err(Failure(format!(
        "{what}: use vs status --watch, or vs top --json for lines that a program reads"
    )))
}

fn is_dumb() -> bool {
    std::env::var("TERM").map_or(true, |term| term.is_empty() || term == "dumb")
}

/// Whether colours are wanted, and can be shown.
pub(super) fn has_colours() -> bool {
    // As no-color.org says: whatever it is set to, but not to nothing.
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let term = std::env::var("TERM").unwrap_or_default();
    let is_plain = term.starts_with("vt1") || term.starts_with("vt2") || term.ends_with("-m");
    !is_refused && !is_plain
}

/// The terminal, with a screen of its own. A panic gives it back before it says why.
pub(super) struct Terminal(ratatui::Terminal<CrosstermBackend<Stdout>>);

impl Terminal {
    pub(super) fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    pub(super) fn draw(
        &mut self,
        draw: impl FnOnce(&mut Frame<'_>),
    ) -> io::Result<CompletedFrame<'_>> {
        self.0.draw(draw)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// As far as there still is one.
fn give_back() {
    let _ = ratatui::try_restore();
    let _ = execute!(stdout(), Show);
}
