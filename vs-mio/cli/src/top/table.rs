//! Rows that can be sorted, whatever they tell.

use core::cmp::Ordering;

use crate::output::push_printable;

/// How a value is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    /// It may be the reason for something.
    Odd,
    Bad,
}

/// A value in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    /// What numbers are sorted by.
    number: Option<f64>,
}

impl Cell {
    /// Words. Others chose some of them: nothing in them reaches the terminal but what can be
    /// printed.
    pub(super) fn text(words: impl AsRef<str>) -> Self {
        let mut text = String::new();
        push_printable(&mut text, words.as_ref().as_bytes());
        Self { text: text.replace('\t', " "), ..Self::default() }
    }

    pub(super) fn number(value: u64) -> Self {
        Self { text: value.to_string(), number: Some(value as f64), ..Self::default() }
    }

    /// Something a second; nothing if that is not known.
    pub(super) fn rate(rate: Option<f64>) -> Self {
        let Some(rate) = rate else { return Self::text("-") };
        let text = match rate {
            0.0 => "0".into(),
            rate if rate < 10.0 => format!("{rate:.1}"),
            rate if rate < 100_000.0 => format!("{rate:.0}"),
            rate if rate < 1e7 => format!("{:.0}k", rate / 1e3),
            rate => format!("{:.1}M", rate / 1e6),
        };
        Self { text, number: Some(rate), tone: Tone::Plain }
    }

    /// The same in another tone, if `is_so`.
    pub(super) fn toned(self, tone: Tone, is_so: bool) -> Self {
        if is_so { Self { tone, ..self } } else { self }
    }

    /// The same, which is not as it should be if it is above 0.
    pub(super) fn odd_above_0(self) -> Self {
        let is_above = self.number.is_some_and(|number| number > 0.0);
        self.toned(Tone::Odd, is_above)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

/// The head of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) is_number: bool,
}

/// A column of words, and one of numbers.
pub(super) const fn words(title: &'static str) -> Column {
    Column { title, is_number: false }
}

pub(super) const fn numbers(title: &'static str) -> Column {
    Column { title, is_number: true }
}

/// Rows below titles.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Vec<Cell>>,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sort {
    /// Index of a column; `None`: as they come.
    pub(super) column: Option<usize>,
    pub(super) is_reversed: bool,
}

impl Table {
    /// Numbers begin with the greatest, words with the least. Equal rows stay as they were.
    pub(super) fn sort(&mut self, sort: Sort) {
        let Some(at) = sort.column else { return };
        let Some(column) = self.columns.get(at) else { return };
        let falls = column.is_number != sort.is_reversed;
        self.rows.sort_by(|a, b| {
            let order = match (a.get(at), b.get(at)) {
                (Some(a), Some(b)) => a.cmp(b),
                _ => Ordering::Equal,
            };
            if falls { order.reverse() } else { order }
        });
    }

    /// How wide each column has to be.
    pub(super) fn widths(&self) -> Vec<usize> {
        let width = |text: &str| ratatui::text::Span::raw(text).width();
        let title = |column: &Column| width(column.title);
        let mut widths: Vec<usize> = self.columns.iter().map(title).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_and_words_rise() {
        const COLUMNS: &[Column] = &[words("WHO"), numbers("N")];
        let row = |who: &str, n: Option<u64>| {
            vec![Cell::text(who), n.map_or_else(Cell::default, Cell::number)]
        };
        let rows = vec![row("b", Some(9)), row("c", Some(10)), row("a", None)];
        let mut table = Table { columns: COLUMNS, rows };
        let order =
            |table: &Table| table.rows.iter().map(|r| r[0].text.clone()).collect::<String>();
        for (column, is_reversed, expected) in [
            (None, true, "bca"),
            (Some(0), false, "abc"),
            (Some(0), true, "cba"),
            (Some(1), false, "cba"),
            (Some(1), true, "abc"),
            (Some(7), false, "abc"),
        ] {
            table.sort(Sort { column, is_reversed });
            assert_eq!(order(&table), expected, "{column:?} {is_reversed}");
        }
    }

    #[test]
    fn rates_are_short() {
        let text = |rate| Cell::rate(Some(rate)).text;
        assert_eq!(Cell::rate(None).text, "-");
        assert_eq!(
            [0.0, 0.25, 12.3, 99_999.0, 123_456.0, 2.5e7].map(text),
            ["0", "0.2", "12", "99999", "123k", "25.0M"]
        );
    }

    #[test]
    fn nothing_in_a_name_reaches_the_terminal() {
        assert_eq!(Cell::text("a\x1b[2J\tb\n").text, "a\\u{1b}[2J b\\n");
    }
}
