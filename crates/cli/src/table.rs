//! Rows with aligned columns, the last of which wraps at the terminal's edge.

use anstyle::Style;

use crate::output::{WIDTH, paint};
use crate::words::{length, wrap};

/// A cell: text and its style. In the last column, each line of the text is a paragraph.
pub(crate) type Cell = (Style, String);

/// The rows, each beginning with `indent` spaces.
pub(crate) fn table(indent: usize, rows: &[Vec<Cell>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns.saturating_sub(1)).map(|column| rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| length(text)).max().unwrap_or(0)).collect();
    let left = indent + widths.iter().map(|width| width + 2).sum::<usize>();
    let room = WIDTH.saturating_sub(left).max(20);
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for ((style, cell), width) in row.iter().zip(&widths) {
            line.push_str(&paint(*style, cell));
            line.push_str(&" ".repeat(width - length(cell) + 2));
        }
        if let Some((style, cell)) = row.get(columns - 1) {
            let lines: Vec<String> = cell.lines().flat_map(|paragraph| wrap(paragraph, room)).collect();
            let between = format!("\n{}", " ".repeat(left));
            line.push_str(&lines.iter().map(|part| paint(*style, part)).collect::<Vec<_>>().join(&between));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    #[test]
    fn columns_are_aligned_and_the_last_one_wraps() {
        let row = |cells: [&str; 2]| cells.iter().map(|cell| (PLAIN, (*cell).to_owned())).collect::<Vec<_>>();
        let text = table(2, &[row(["a", "short"]), row(["name", &"word ".repeat(20)])]);
        assert_eq!(text.lines().next(), Some("  a     short"));
        assert!(text.lines().all(|line| length(line) <= WIDTH));
        assert!(text.lines().nth(2).unwrap().starts_with("        word"));
    }
}
