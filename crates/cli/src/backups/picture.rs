//! The calendar: how many recovery points there are of each day, and of each month before that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use muster_backups::{Happening, Line, Place, RecoveryPoint};

use super::Outlook;
use crate::output::{QUIET, WIDTH, paint};
use crate::words::{date, length};

/// Weeks that are shown day by day, before the one that `now` is in.
const WEEKS: i64 = 5;
const GAP: usize = 4;

/// The calendars of all backups that there are any of, or will be.
pub(super) fn draw(outlook: &Outlook<'_>) -> String {
    let mut text = String::new();
    for line in &outlook.rules.lines {
        let grids: Vec<Vec<String>> = line.destinations.iter().filter_map(|destination| calendar(outlook, line, &destination.place)).collect();
        for (index, pair) in grids.chunks(2).enumerate() {
            if index == 0 {
                text.push_str(&format!("  {}\n", line.name));
            }
            text.push_str(&beside(pair));
        }
    }
    if !text.is_empty() {
        let legend = "1− some of these are deleted until then; +1 so many are taken until then";
        text.push_str(&format!("  {}\n", paint(QUIET, legend)));
    }
    text
}

/// Two grids, one beside the other where there is room.
fn beside(grids: &[Vec<String>]) -> String {
    let height = grids.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = grids.iter().map(|grid| grid.iter().map(|line| length(line)).max().unwrap_or(0)).collect();
    if widths.iter().map(|width| width + GAP).sum::<usize>() > WIDTH {
        return grids.chunks(1).map(beside).collect();
    }
    let mut text = String::new();
    for row in 0..height {
        let mut line = "  ".to_owned();
        for (grid, width) in grids.iter().zip(&widths) {
            let cell = grid.get(row).map_or("", String::as_str);
            line.push_str(cell);
            line.push_str(&" ".repeat(width - length(cell) + GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How a day has changed when all has happened.
#[derive(Default)]
struct Day {
    there: usize,
    deleted: usize,
    added: usize,
}

/// One backup in one place: its heading, months, then weeks. `None` where there is nothing, and nothing comes.
fn calendar(outlook: &Outlook<'_>, line: &Line, place: &Place) -> Option<Vec<String>> {
    let days = days(outlook, line, place);
    let (last, now) = (*days.keys().last()?, date(outlook.now)?);
    let monday = |day: Date| day.checked_sub(i64::from(day.weekday().since(Weekday::Monday)).days()).ok();
    let earliest = monday(now)?.checked_sub(WEEKS.weeks()).ok()?;
    let mut rows = vec![place.to_string()];
    rows.extend(months(&days, earliest));
    if let Some(first) = days.keys().find(|day| **day >= earliest) {
        rows.push(format!("{:8}{}", "", ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"].map(|day| format!("{day:>3} ")).concat()).trim_end().to_owned());
        let mut week = monday(*first)?;
        while week <= last.max(now) {
            let cells: Vec<String> = (0..7).map(|day| cell(week.checked_add(day.days()).ok().and_then(|day| days.get(&day)))).collect();
            rows.push(format!("{:>6}  {}", week.strftime("%-d %b").to_string(), cells.concat()).trim_end().to_owned());
            week = week.checked_add(1.weeks()).ok()?;
        }
    }
    rows.push(String::new());
    Some(rows)
}

fn cell(day: Option<&Day>) -> String {
    match day {
        None => "  · ".to_owned(),
        Some(Day { there: 0, added, .. }) => format!("{:>3} ", format!("+{added}")),
        Some(Day { there, deleted: 0, .. }) => format!("{there:>3} "),
        Some(Day { there, .. }) => format!("{there:>3}−"),
    }
}

/// The months before the weeks, a line for each year.
fn months(days: &BTreeMap<Date, Day>, earliest: Date) -> Vec<String> {
    let before = || days.iter().filter(|(day, _)| **day < earliest);
    let years: BTreeSet<i16> = before().map(|(day, _)| day.year()).collect();
    let cell = |year: i16, month: i8| {
        let of_month = || before().filter(|(day, _)| day.year() == year && day.month() == month).map(|(_, day)| day);
        let (there, deleted): (usize, usize) = (of_month().map(|day| day.there).sum(), of_month().map(|day| day.deleted).sum());
        if there == 0 { "  · ".to_owned() } else { format!("{there:>3}{}", if deleted > 0 { '−' } else { ' ' }) }
    };
    let head = format!("{:8}Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", "");
    let rows = years.into_iter().map(|year| format!("{year:>6}  {}", (1..=12).map(|month| cell(year, month)).collect::<String>()).trim_end().to_owned());
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() { rows } else { std::iter::once(head).chain(rows).collect() }
}

fn days(outlook: &Outlook<'_>, line: &Line, place: &Place) -> BTreeMap<Date, Day> {
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    let ours = |point: &&RecoveryPoint| point.place == *place && outlook.rules.line_of(point).is_some_and(|of| of.name == line.name);
    for point in outlook.situation.points.iter().filter(ours) {
        if let Some(day) = date(point.taken_at) {
            days.entry(day).or_default().there += 1;
        }
    }
    for event in outlook.events.iter().filter(|event| event.backup.as_ref() == Some(&line.name) && event.place.as_ref() == Some(place)) {
        let Some(day) = date(event.taken_at) else { continue };
        match event.what {
            Happening::Deleted { .. } => days.entry(day).or_default().deleted += 1,
            Happening::Taken { .. } | Happening::Copied { .. } => days.entry(day).or_default().added += 1,
            Happening::Held { .. } => {}
        }
    }
    days
}
