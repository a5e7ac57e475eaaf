//! `vs top`: what servers and nodes see, live.

mod args;
mod asking;
mod changes;
mod draw;
mod model;
mod rates;
#[cfg(test)]
mod samples;
mod screen;
mod table;
mod tables;
mod terminal;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use ratatui::crossterm::event::{self, Event};
use serde_json::json;

pub(crate) use args::Args;

use crate::failure::{Failure, system};
use crate::output::{say, unwritten};
use crate::signals::watch_ending;
use asking::Answer;
use draw::Palette;
use model::Model;
use screen::{Follow, Screen};
use terminal::Terminal;

/// Addresses that are asked.
const ADDRESSES_MAX: usize = 64;
/// How long a key is waited for before it is looked whether there are answers.
const LOOK: Duration = Duration::from_millis(50);

/// Asks all each second, and shows what they answer, until told to end.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.addrs.len() > ADDRESSES_MAX {
        return Err(Failure(format!("name at most {ADDRESSES_MAX} addresses")));
    }
    if !args.json {
        terminal::check()?;
    }
    let ends = watch_ending()?;
    let answers = asking::start(args)?;
    if args.json {
        return print(args, &answers, &ends);
    }
    let mut terminal = Terminal::open().map_err(|e| system("use the terminal", &e))?;
    let shown = show(args, &answers, &ends, &mut terminal);
    drop(terminal);
    // Whoever sent the signal may have taken the terminal away.
    match shown {
        Err(_) if ends.load(Ordering::SeqCst) => Ok(()),
        shown => shown.map_err(|e| system("use the terminal", &e)),
    }
}

/// One line for each answer.
fn print(args: &Args, answers: &Receiver<Answer>, ends: &AtomicBool) -> Result<(), Failure> {
    while !ends.load(Ordering::SeqCst) {
        let answer = match answers.recv_timeout(LOOK) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let addr = &args.addrs[answer.index];
        let line = match answer.told {
            Ok(status) => json!({"addr": addr, "status": status}),
            Err(why) => json!({"addr": addr, "error": why}),
        };
        say(format_args!("{line}"));
        unwritten()?;
    }
    Ok(())
}

/// Shows the answers.
fn show(
    args: &Args,
    answers: &Receiver<Answer>,
    ends: &AtomicBool,
    terminal: &mut Terminal,
) -> std::io::Result<()> {
    let mut model = Model::new(&args.addrs);
    let mut screen = Screen::new(&model);
    let palette = Palette::of_terminal();
    let mut is_old = true;
    while !ends.load(Ordering::SeqCst) {
        while let Ok(answer) = answers.try_recv() {
            // What is dropped meanwhile shows in the differences of the next answer.
            if !screen.is_paused() {
                model.handle(answer);
                screen.refresh(&model);
                is_old = true;
            }
        }
        if is_old {
            terminal.draw(|frame| draw::draw(frame, &mut screen, palette))?;
            is_old = false;
        }
        if !event::poll(LOOK)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) => {
                if screen.handle_key(key, &model) == Follow::Quit {
                    return Ok(());
                }
                is_old = true;
            }
            Event::Resize(..) => is_old = true,
            _ => {}
        }
    }
    Ok(())
}
