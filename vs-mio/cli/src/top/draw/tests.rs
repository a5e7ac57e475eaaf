//! What is drawn, at all sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::top::model::Model;
use crate::top::samples::{answer, node, server};
use crate::top::screen::Follow;

fn model() -> Model {
    let mut model = Model::new(&["127.0.0.1:7100", "[::1]:7000", "nowhere"].map(str::to_owned));
    let members: Vec<u64> = (1..=60).collect();
    for s in 0..40 {
        let name = "a group with a name that is long, \u{202e} and 広い";
        model.handle(answer(0, s, Ok(node(name, s, &members, s * 1000))));
        model.handle(answer(1, s, Ok(server(s, &members))));
    }
    model.handle(answer(2, 41, Err("nowhere has no address: name one that has")));
    model
}

/// What stands on a terminal of `columns` and `rows`.
fn shown(screen: &mut Screen, columns: u16, rows: u16, has_colours: bool) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    let palette = Palette { has_colours };
    terminal.draw(|frame| draw(frame, screen, palette)).expect("a terminal");
    let buffer = terminal.backend().buffer().clone();
    if !has_colours {
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset), "no colours");
    }
    let line = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect();
    (0..rows).map(line).collect()
}

fn press(screen: &mut Screen, model: &Model, code: KeyCode) -> Follow {
    screen.handle_key(KeyEvent::new(code, KeyModifiers::NONE), model)
}

#[test]
fn every_size_is_drawn() {
    let model = model();
    for model in [model, Model::new(&[])] {
        let mut screen = Screen::new(&model);
        let keys =
            [KeyCode::Down, KeyCode::End, KeyCode::Right, KeyCode::Char('s'), KeyCode::Enter];
        for key in keys.into_iter().chain([KeyCode::Char('?'), KeyCode::Tab]) {
            for _ in 0..Kind::ALL.len() {
                press(&mut screen, &model, key);
                for rows in [0, 1, 2, 3, 4, 5, 17, 18] {
                    for columns in [0, 1, 20, 60] {
                        let lines = shown(&mut screen, columns, rows, rows % 2 == 0);
                        assert_eq!(lines.len(), usize::from(rows));
                    }
                }
                press(&mut screen, &model, KeyCode::Tab);
            }
            shown(&mut screen, 500, 200, true);
        }
    }
}

#[test]
fn tables_share_the_screen() {
    let (model, mut text) = (model(), String::new());
    let mut screen = Screen::new(&model);
    for columns in [100, 200] {
        text = shown(&mut screen, columns, 40, true).join("\n");
        for word in ["2 of 3 answer", "▶Processes 3", "Groups 2", "Members 60", "Changes"] {
            assert!(text.contains(word), "{word}:\n{text}");
        }
    }
    assert!(text.contains("nowhere has no address") && text.contains("LAG"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    let small = shown(&mut screen, 80, 10, true).join("\n");
    assert!(small.contains("Processes") && !small.contains("Members"), "{small}");
}

#[test]
fn keys_move_sort_and_end() {
    let model = model();
    let mut screen = Screen::new(&model);
    for _ in 0..2 {
        press(&mut screen, &model, KeyCode::Tab);
    }
    assert_eq!(screen.panels[screen.focus].kind, Kind::Members);
    // LAG is the fourth column; numbers fall.
    for _ in 0..4 {
        press(&mut screen, &model, KeyCode::Char('s'));
    }
    press(&mut screen, &model, KeyCode::Enter);
    let lines = shown(&mut screen, 300, 12, true);
    assert!(lines[3].contains(" 600"), "the greatest lag is first:\n{}", lines.join("\n"));
    press(&mut screen, &model, KeyCode::End);
    let lines = shown(&mut screen, 300, 12, true);
    assert!(lines.iter().any(|line| line.contains(" 10 ")), "the last row is shown: {lines:?}");
    press(&mut screen, &model, KeyCode::Char('p'));
    assert!(screen.is_paused() && shown(&mut screen, 80, 9, true)[0].contains("paused"));
    press(&mut screen, &model, KeyCode::Char('?'));
    assert!(shown(&mut screen, 80, 24, true).join("\n").contains("Any key goes on"));
    assert_eq!(press(&mut screen, &model, KeyCode::Char('x')), Follow::Nothing);
    assert!(!screen.has_help);
    assert_eq!(press(&mut screen, &model, KeyCode::Esc), Follow::Quit);
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.handle_key(control, &model), Follow::Quit);
}

/// A number that is cut off would be another one.
#[test]
fn numbers_are_shown_whole_or_not_at_all() {
    let model = model();
    let mut screen = Screen::new(&model);
    for columns in 1..120 {
        for line in shown(&mut screen, columns, 6, true).iter().skip(3) {
            let last = line.split_whitespace().next_back().unwrap_or_default();
            let is_part = "1000".starts_with(last) && !["1000", ""].contains(&last);
            assert!(!is_part || last == "1", "{columns}: {line}");
        }
    }
}
