//! What the user looks at: which table, where in it, in which order.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Model;
use super::table::{Sort, Table};
use super::tables;

/// Rows that a page key goes.
const PAGE_ROWS: usize = 10;

/// A table on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Processes,
    Groups,
    Members,
    Counters,
    Changes,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Processes, Self::Groups, Self::Members, Self::Counters, Self::Changes];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Processes => "Processes",
            Self::Groups => "Groups",
            Self::Members => "Members",
            Self::Counters => "Counters",
            Self::Changes => "Changes",
        }
    }

    fn table(self, model: &Model) -> Table {
        match self {
            Self::Processes => tables::processes(model),
            Self::Groups => tables::groups(model),
            Self::Members => tables::members(model),
            Self::Counters => tables::counters(model),
            Self::Changes => tables::changes(model),
        }
    }
}

/// A table, and the part of it that is looked at.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) kind: Kind,
    pub(super) table: Table,
    pub(super) widths: Vec<usize>,
    pub(super) sort: Sort,
    /// The row that is marked.
    pub(super) selected: usize,
    /// The first row that is shown.
    pub(super) top: usize,
    /// Columns that are left out behind the first one.
    pub(super) skipped: usize,
}

impl Panel {
    fn new(kind: Kind) -> Self {
        let (table, widths, sort) = (Table::default(), Vec::new(), Sort::default());
        Self { kind, table, widths, sort, selected: 0, top: 0, skipped: 0 }
    }

    fn refresh(&mut self, model: &Model) {
        self.table = self.kind.table(model);
        self.table.sort(self.sort);
        self.widths = self.table.widths();
        self.select(self.selected);
    }

    fn select(&mut self, row: usize) {
        self.selected = row.min(self.table.rows.len().saturating_sub(1));
    }

    /// Moves the shown part so that the marked row is in it, of which so many rows are shown.
    pub(super) fn show(&mut self, rows: usize) {
        let last_top = self.table.rows.len().saturating_sub(rows);
        let first = (self.selected + 1).saturating_sub(rows);
        self.top = self.top.max(first).min(self.selected).min(last_top);
    }

    fn skip(&mut self, right: bool) {
        let most = self.table.columns.len().saturating_sub(2);
        self.skipped =
            if right { (self.skipped + 1).min(most) } else { self.skipped.saturating_sub(1) };
    }

    fn sort_by_next(&mut self) {
        let next = self.sort.column.map_or(0, |column| column + 1);
        let column = (next < self.table.columns.len()).then_some(next);
        self.sort = Sort { column, ..self.sort };
    }
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Nothing,
    Quit,
}

/// All that is on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) panels: [Panel; 5],
    /// Which of them keys are for.
    pub(super) focus: usize,
    /// Nothing but that one is shown.
    pub(super) is_whole: bool,
    pub(super) has_help: bool,
    paused: bool,
    /// How many answer, and of how many.
    pub(super) answering: (usize, usize),
    pub(super) unix_s: u64,
}

impl Screen {
    pub(super) fn new(model: &Model) -> Self {
        let panels = Kind::ALL.map(Panel::new);
        let (focus, is_whole, has_help, paused) = (0, false, false, false);
        let (answering, unix_s) = ((0, 0), 0);
        let mut screen = Self { panels, focus, is_whole, has_help, paused, answering, unix_s };
        screen.refresh(model);
        screen
    }

    /// Takes what the model has now.
    pub(super) fn refresh(&mut self, model: &Model) {
        self.answering = (model.answering(), model.asked.len());
        self.unix_s = model.unix_s;
        for panel in &mut self.panels {
            panel.refresh(model);
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(super) fn handle_key(&mut self, key: KeyEvent, model: &Model) -> Follow {
        if key.kind == KeyEventKind::Release {
            return Follow::Nothing;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Follow::Quit;
        }
        if self.has_help {
            self.has_help = false;
            let is_quit = key.code == KeyCode::Char('q');
            return if is_quit { Follow::Quit } else { Follow::Nothing };
        }
        let panel = &mut self.panels[self.focus];
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Follow::Quit,
            KeyCode::Char('?' | 'h') => self.has_help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Tab => self.focus = (self.focus + 1) % Kind::ALL.len(),
            KeyCode::BackTab => self.focus = (self.focus + Kind::ALL.len() - 1) % Kind::ALL.len(),
            KeyCode::Enter | KeyCode::Char('z') => self.is_whole = !self.is_whole,
            KeyCode::Up | KeyCode::Char('k') => panel.select(panel.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => panel.select(panel.selected + 1),
            KeyCode::PageUp => panel.select(panel.selected.saturating_sub(PAGE_ROWS)),
            KeyCode::PageDown => panel.select(panel.selected + PAGE_ROWS),
            KeyCode::Home => panel.select(0),
            KeyCode::End => panel.select(usize::MAX),
            KeyCode::Left => panel.skip(false),
            KeyCode::Right => panel.skip(true),
            KeyCode::Char('s') => {
                panel.sort_by_next();
                panel.refresh(model);
            }
            KeyCode::Char('r') => {
                panel.sort.is_reversed = !panel.sort.is_reversed;
                panel.refresh(model);
            }
            _ => {}
        }
        Follow::Nothing
    }
}
