//! Tables for people: aligned columns, foreign text escaped.

use unicode_width::UnicodeWidthStr;

use crate::output::Output;
use crate::text;

/// Columns of text. Cells are escaped when added; the last column is never padded or cut.
#[derive(Debug)]
pub(crate) struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; a heading that starts with `>` makes its column right-aligned.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = headings
            .iter()
            .map(|heading| heading.trim_start_matches('>').to_owned())
            .collect();
        Self {
            right,
            rows: vec![heading],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.iter().map(|cell| text::escape(cell)).collect());
    }

    /// Number of rows without the headings.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Writes what was added and forgets it; headings stay for the next page.
    pub(crate) fn print(&mut self, output: &Output) {
        let mut widths = vec![0; self.right.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        for row in &self.rows {
            output.line(layout(row, &widths, &self.right));
        }
        self.rows.truncate(1);
    }
}

fn layout(row: &[String], widths: &[usize], right: &[bool]) -> String {
    let mut line = String::new();
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            line.push_str("  ");
        }
        let padding = " ".repeat(widths[index].saturating_sub(cell.width()));
        if right[index] {
            line.push_str(&padding);
            line.push_str(cell);
        } else {
            line.push_str(cell);
            line.push_str(&padding);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_rows_end_without_blanks() {
        let widths = [6, 4];
        assert_eq!(
            layout(&["a".into(), "12".into()], &widths, &[false, true]),
            "a         12"
        );
        assert_eq!(
            layout(&["名前".into(), String::new()], &widths, &[false, false]),
            "名前"
        );
    }

    #[test]
    fn cells_are_escaped() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[0m\nb".to_owned()]);
        assert_eq!(table.rows[1], ["a\\u{1b}[0m\\nb"]);
        assert_eq!(table.len(), 1);
    }
}
