//! From tables to cells of a terminal, of whatever size.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::screen::{Kind, Panel, Screen};
use super::table::Tone;
use super::tables::clock;
use super::terminal::has_colours;

/// Rows of a terminal below which one table alone is shown.
const SPLIT_ROWS_MIN: u16 = 18;
/// Rows that a table needs: its heading, its titles, and one row.
const PANEL_ROWS_MIN: u16 = 3;
/// Blanks between two columns.
const GAP: usize = 2;
/// A cell is cut off beyond so many columns of the terminal, unless it is the last one.
const CELL_MAX: usize = 44;

const KEYS: &str =
    " q quit  Tab table  ↑↓ row  ←→ columns  s sort  r reverse  Enter whole  p pause  ? help";

const HELP: &[&str] = &[
    "q, Esc, Ctrl-C   end",
    "Tab, Shift-Tab   the next table, the one before",
    "↑ ↓ PgUp PgDn    mark another row; Home, End: the first, the last",
    "← →              columns that are not to be seen",
    "s                sort by the next column; behind the last one: not at all",
    "r                the other way round",
    "Enter, z         this table alone, and all again",
    "p, space         pause, and go on",
    "",
    "Rates are differences of the last two answers. - : there is nothing to",
    "compare, or counting began again (another view, another start).",
    "LAG: packets that a member has not given room back for.",
    "",
    "Any key goes on.",
];

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    has_colours: bool,
}

impl Palette {
    /// As the terminal can, and its user wants.
    pub(super) fn of_terminal() -> Self {
        Self { has_colours: has_colours() }
    }

    fn tone(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (Color::Reset, Modifier::empty()),
            Tone::Good => (Color::Green, Modifier::empty()),
            Tone::Odd => (Color::Yellow, Modifier::empty()),
            Tone::Bad => (Color::Red, Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        if self.has_colours { style.fg(colour) } else { style }
    }

    fn heading(self, has_focus: bool) -> Style {
        let modifier = if has_focus { Modifier::BOLD } else { Modifier::DIM };
        let style = Style::new().add_modifier(modifier);
        if self.has_colours && has_focus { style.fg(Color::Cyan) } else { style }
    }
}

/// Draws all.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, palette: Palette) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.height == 0 || area.width == 0 {
        return;
    }
    head(buffer, area, screen, palette);
    let inner = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let inner = if inner.height > PANEL_ROWS_MIN {
        let last = Rect { y: inner.bottom() - 1, height: 1, ..inner };
        put(buffer, last, 0, KEYS, palette.heading(false));
        Rect { height: inner.height - 1, ..inner }
    } else {
        inner
    };
    for (index, area) in places(inner, screen) {
        let has_focus = index == screen.focus;
        panel(buffer, area, &mut screen.panels[index], has_focus, palette);
    }
    if screen.has_help {
        help(buffer, inner, palette);
    }
}

/// The first line: who answers, when.
fn head(buffer: &mut Buffer, area: Rect, screen: &Screen, palette: Palette) {
    let (answering, asked) = screen.answering;
    let line = Rect { height: 1, ..area };
    let text = format!(" vs top  {answering} of {asked} answer  {} UTC", clock(screen.unix_s));
    put(buffer, line, 0, &text, Style::new().add_modifier(Modifier::BOLD));
    if screen.is_paused() {
        put(buffer, line, text.len() + 2, "paused: p goes on", palette.tone(Tone::Bad));
    }
}

/// Which tables are shown, and where.
fn places(area: Rect, screen: &Screen) -> Vec<(usize, Rect)> {
    if screen.is_whole || area.height < SPLIT_ROWS_MIN {
        return vec![(screen.focus, area)];
    }
    // Counters take the place of the members while they are looked at.
    let has_counters = Kind::ALL[screen.focus] == Kind::Counters;
    let left_out = if has_counters { Kind::Members } else { Kind::Counters };
    let shown = (0..Kind::ALL.len()).filter(|index| Kind::ALL[*index] != left_out);
    let shown: Vec<usize> = shown.collect();
    let mut left = area.height;
    let mut heights = vec![0; shown.len()];
    // Each gets what it needs, as long as all others have their share.
    for (place, index) in shown.iter().enumerate() {
        let share = left / u16::try_from(shown.len() - place).unwrap_or(1);
        let rows = u16::try_from(screen.panels[*index].table.rows.len()).unwrap_or(u16::MAX);
        let is_last = place + 1 == shown.len();
        heights[place] =
            if is_last { left } else { rows.saturating_add(PANEL_ROWS_MIN).min(share) };
        left -= heights[place];
    }
    let mut y = area.y;
    let place = |(index, height): (&usize, u16)| {
        let area = Rect { y, height, ..area };
        y += height;
        (*index, area)
    };
    shown.iter().zip(heights).map(place).collect()
}

/// A table: a heading, titles, rows.
fn panel(buffer: &mut Buffer, area: Rect, panel: &mut Panel, has_focus: bool, palette: Palette) {
    if area.height == 0 {
        return;
    }
    let style = palette.heading(has_focus);
    let heading = Rect { height: 1, ..area };
    let mark = if has_focus { '▶' } else { ' ' };
    let title = format!("{mark}{} {}", panel.kind.title(), panel.table.rows.len());
    put(buffer, heading, 0, &"─".repeat(area.width.into()), style);
    put(buffer, heading, 1, &format!("{title} "), style);
    let columns = columns(panel, area.width.into());
    let titles = Rect { y: area.y + 1, height: area.height.saturating_sub(1).min(1), ..area };
    for (index, x, width) in &columns {
        let column = panel.table.columns[*index];
        let is_sorted = panel.sort.column == Some(*index);
        let modifier = if is_sorted { Modifier::UNDERLINED } else { Modifier::empty() };
        let style = Style::new().add_modifier(Modifier::BOLD | modifier);
        cell(buffer, titles, (*x, *width), column.title, column.is_number, style);
    }
    let rows = usize::from(area.height.saturating_sub(2));
    if rows == 0 {
        return;
    }
    panel.show(rows);
    let shown = panel.table.rows.iter().enumerate().skip(panel.top).take(rows);
    for (y, (at, row)) in (area.y + 2..).zip(shown) {
        let line = Rect { y, height: 1, ..area };
        let is_marked = has_focus && at == panel.selected;
        let mark = if is_marked { Modifier::REVERSED } else { Modifier::empty() };
        if is_marked {
            put(buffer, line, 0, &" ".repeat(area.width.into()), Style::new().add_modifier(mark));
        }
        for (index, x, width) in &columns {
            let Some(value) = row.get(*index) else { continue };
            let style = palette.tone(value.tone).add_modifier(mark);
            let is_number = panel.table.columns[*index].is_number;
            cell(buffer, line, (*x, *width), &value.text, is_number, style);
        }
    }
}

/// The columns that fit: index, place and width.
fn columns(panel: &Panel, width: usize) -> Vec<(usize, usize, usize)> {
    let all = 0..panel.table.columns.len();
    let last = all.end.saturating_sub(1);
    let shown = all.filter(|index| *index == 0 || *index > panel.skipped);
    let (mut x, mut columns) = (1, Vec::new());
    for index in shown {
        let wanted = panel.widths.get(index).copied().unwrap_or_default();
        let wanted = if index == last { wanted } else { wanted.min(CELL_MAX) };
        // A part of a number would be another one.
        let is_number = panel.table.columns[index].is_number;
        if x >= width || is_number && x + wanted > width {
            break;
        }
        columns.push((index, x, wanted.min(width - x)));
        x += wanted + GAP;
    }
    columns
}

/// A value in its column; numbers at its right end.
fn cell(
    buffer: &mut Buffer,
    line: Rect,
    (x, width): (usize, usize),
    text: &str,
    is_number: bool,
    style: Style,
) {
    let right = u16::try_from(x + width).unwrap_or(u16::MAX).min(line.width);
    let line = Rect { width: right, ..line };
    let len = ratatui::text::Span::raw(text).width();
    let x = if is_number { x + width.saturating_sub(len) } else { x };
    put(buffer, line, x, text, style);
}

/// Writes into a line as much as fits from `x` on.
fn put(buffer: &mut Buffer, line: Rect, x: usize, text: &str, style: Style) {
    let Ok(x) = u16::try_from(x) else { return };
    let line = line.intersection(buffer.area);
    if line.height == 0 || x >= line.width {
        return;
    }
    buffer.set_stringn(line.x + x, line.y, text, (line.width - x).into(), style);
}

/// The keys, over all else.
fn help(buffer: &mut Buffer, area: Rect, palette: Palette) {
    let width = HELP.iter().map(|line| line.chars().count()).max().unwrap_or_default() + 4;
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(HELP.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    for row in 0..height {
        let line = Rect { x, y: y + row, width, height: 1 };
        put(buffer, line, 0, &" ".repeat(width.into()), Style::reset());
        let is_edge = row == 0 || row + 1 == height;
        if is_edge {
            put(buffer, line, 0, &"─".repeat(width.into()), palette.heading(true));
        } else if let Some(text) = HELP.get(usize::from(row) - 1) {
            put(buffer, line, 2, text, Style::reset());
        }
    }
}

#[cfg(test)]
mod tests;
