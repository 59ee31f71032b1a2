//! Spans, instants and shares for people. Spans are rounded up: never in our own favour.

use muster_core::{Duration, Timestamp};

use crate::record::{Bound, Figure, Integrity, Objective, Occasion, Report, Verdict};

/// A span for reading: `29m 23s`, `4h`, `1.9s`, `850ms`.
pub(crate) fn span(span: Duration) -> String {
    span.spoken()
}

/// A span to the millisecond, for sums: `29m 22.940s`.
pub(crate) fn exact(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = format!("{}.{:03}s", millis / 1_000 % 60, millis % 1_000);
    match (millis / 3_600_000, millis / 60_000 % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m {seconds}"),
        (hours, minutes) => format!("{hours}h {minutes}m {seconds}"),
    }
}

/// `HH:MM`, rounded up.
pub(crate) fn hours_minutes(span: Duration) -> String {
    let minutes = span.as_millis().div_ceil(60_000);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `T+00:26:43`, or `T−00:00:17` before the incident.
pub(crate) fn offset(millis: i64) -> String {
    let sign = if millis < 0 { '−' } else { '+' };
    let seconds = millis.unsigned_abs() / 1_000;
    format!("T{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `YYYY-MM-DD`, UTC.
pub(crate) fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// `YYYY-MM-DD HH:MM:SS UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{} {} UTC", date(at), at.clock_time())
}

/// A share of a whole in per cent, cut and not rounded: 100% is all of it.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let thousandths = u128::from(part) * 100_000 / u128::from(whole);
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A share of a whole in per cent, rounded to one decimal: for proportions, not for claims.
pub(crate) fn share(part: Duration, whole: Duration) -> String {
    let whole = u128::from(whole.as_millis());
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = (u128::from(part.as_millis()) * 2_000 + whole) / (2 * whole);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

impl Figure {
    /// The figure for reading: `29m 23s`, `at most 1m 2s`, or why there is none.
    pub(crate) fn words(&self) -> String {
        match (self.actual, self.bound, self.verdict) {
            (Some(actual), Bound::About, _) => span(actual),
            (Some(actual), Bound::AtMost, _) => format!("at most {}", span(actual)),
            (None, _, Verdict::Fail) => "not restored".to_owned(),
            (None, _, Verdict::Unknown) => "unknown".to_owned(),
            (None, _, _) => "n/a".to_owned(),
        }
    }

    /// How exact it is, in words.
    pub(crate) fn exactness(&self) -> String {
        match (self.actual, self.bound, self.precision) {
            (None, _, _) => "–".to_owned(),
            (_, Bound::AtMost, _) => "upper bound".to_owned(),
            (_, _, Some(Duration::ZERO)) => "exact".to_owned(),
            (_, _, Some(precision)) => format!("± {}", span(precision)),
            (_, _, None) => "not known".to_owned(),
        }
    }
}

impl Integrity {
    /// The share of data checks that passed.
    pub(crate) fn checks_in_words(&self) -> String {
        if self.checks_made == 0 { "no data check was made".to_owned() } else { percent(self.checks_passed, self.checks_made) }
    }

    /// What became of the writes that clients had confirmed, where that is known.
    pub(crate) fn writes_in_words(&self) -> Option<String> {
        let (confirmed, lost) = (self.writes_confirmed?, self.writes_lost?);
        Some(format!("{} ({lost} of {confirmed} lost)", percent(confirmed.saturating_sub(lost), confirmed)))
    }
}

impl Report {
    /// The service's own objective: the first.
    pub(crate) fn service(&self) -> Option<&Objective> {
        self.objectives.first()
    }

    /// The verdict on all targets, in a sentence.
    pub(crate) fn verdict(&self) -> (Verdict, String) {
        if !self.recovers() {
            return self.verdict_on_backups();
        }
        let figures = || self.objectives.iter().flat_map(|objective| [("RTO", objective, &objective.rto), ("RPO", objective, &objective.rpo)]);
        let named = |verdict| {
            let names: Vec<String> = figures()
                .filter(|(_, _, comparison)| comparison.deciding().verdict == verdict)
                .map(
                    |(name, objective, _)| {
                        if objective.subject == crate::results::SERVICE { format!("the service's {name}") } else { format!("{} {name}", objective.subject) }
                    },
                )
                .collect();
            names
        };
        let (missed, unknown, met) = (named(Verdict::Fail), named(Verdict::Unknown), named(Verdict::Pass));
        let rest = if unknown.is_empty() { String::new() } else { format!("; unknown: {}", unknown.join(", ")) };
        match (missed.is_empty(), unknown.is_empty(), met.is_empty()) {
            (false, _, _) => {
                let service = self.service().filter(|service| [&service.rto, &service.rpo].iter().all(|target| target.deciding().verdict == Verdict::Pass));
                let service = if service.is_some() { "The service met its RTO and RPO. " } else { "" };
                (Verdict::Fail, format!("{service}Missed: {}{rest}", missed.join(", ")))
            }
            (true, false, _) => (Verdict::Unknown, format!("Not known: {}", unknown.join(", "))),
            (true, true, false) => (Verdict::Pass, "Every target was met".to_owned()),
            (true, true, true) => (Verdict::NotApplicable, "There was nothing to hold against a target".to_owned()),
        }
    }

    /// The kind of test, in words: `Region failover (rehearsal)`.
    pub(crate) fn test_type(&self) -> String {
        let flow = self.summary.flow.replace('-', " ");
        let mut letters = flow.chars();
        let flow: String = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default() + letters.as_str();
        let occasion = match self.summary.occasion {
            Occasion::Incident if !self.recovers() => return flow,
            Occasion::Incident => "incident",
            Occasion::Drill => "drill on AWS",
            Occasion::Rehearsal => "rehearsal on the simulated estate",
        };
        format!("{flow} ({occasion})")
    }

    /// The document's title.
    pub(crate) fn title(&self) -> String {
        let kind = match self.summary.occasion {
            _ if self.proves() => "Restore Test Report",
            _ if !self.recovers() => "Backup Report",
            Occasion::Incident => "DR Incident Report",
            Occasion::Drill | Occasion::Rehearsal => "DR Test Report",
        };
        format!("{kind} - {}", date(self.summary.opened_at))
    }

    /// What happened, name by name.
    pub(crate) fn particulars(&self) -> Vec<(&'static str, String)> {
        let summary = &self.summary;
        let restored = match summary.restored_at {
            Some(at) if self.clients.is_some() && summary.incident_at == Some(at) => "clients noticed no outage".to_owned(),
            Some(at) => moment(at),
            None => "not within the run".to_owned(),
        };
        let mut rows = vec![
            ("Service", summary.service.clone()),
            ("Regions", format!("{} → {}", summary.primary, summary.standby)),
            ("Started by", if summary.reason.is_empty() { summary.started_by.clone() } else { format!("{}: {}", summary.started_by, summary.reason) }),
            ("Incident", summary.incident_at.map_or_else(|| "no outage was seen".to_owned(), moment)),
            ("Run opened", moment(summary.opened_at)),
            ("Restored", restored),
            ("Run closed", moment(summary.closed_at)),
        ];
        if !self.recovers() {
            rows.retain(|(name, _)| !matches!(*name, "Incident" | "Restored"));
        }
        if let Some(clients) = &self.clients {
            rows.push(("Faults", if clients.faults.is_empty() { "none".to_owned() } else { clients.faults.join("; ") }));
        }
        rows
    }

    /// What proves and repeats it, name by name.
    pub(crate) fn provenance(&self) -> Vec<(&'static str, String)> {
        let summary = &self.summary;
        let ledger = &summary.ledger;
        let whole = if ledger.intact { "every chain is whole" } else { "NOT WHOLE" };
        let mut rows = vec![
            ("Run", format!("{}, epoch {}", summary.run, summary.epoch)),
            ("Plan", format!("{}, version {}", summary.plan, summary.plan_version)),
            ("Plan, SHA-256", summary.plan_sha256.clone()),
            ("Ledger", format!("{} entries in {} chains; {whole}", ledger.entries, ledger.chains)),
            ("Ledger's root, SHA-256", ledger.root.clone()),
        ];
        rows.extend(self.clients.as_ref().map(|clients| ("Seed", clients.seed.to_string())));
        rows
    }

    /// Whether any call needed the failed region or a global control plane, in a sentence.
    pub(crate) fn dependence_in_words(&self) -> String {
        let critical = self.calls.dependences.iter().filter(|dependence| dependence.on_critical_path);
        let (tried, needed): (Vec<_>, Vec<_>) = critical.partition(|dependence| dependence.failures == dependence.count);
        let list = |dependences: &[&crate::record::Dependence]| {
            dependences
                .iter()
                .map(|dependence| format!("{} in {} ({})", dependence.operation, dependence.region, dependence.phase))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (needed.is_empty(), tried.is_empty()) {
            (true, true) => "No call on the critical path went to the failed region or to a global control plane.".to_owned(),
            (true, false) => {
                format!("The critical path needed neither the failed region nor a global control plane. Tried in vain, and gone past: {}.", list(&tried))
            }
            (false, _) => format!("The critical path needed what an outage can take away: {}.", list(&needed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_up_and_never_in_our_favour() {
        for (millis, expected) in
            [(0, "0s"), (7, "7ms"), (1_000, "1s"), (1_001, "1.1s"), (59_901, "60s"), (60_001, "1m 1s"), (3_600_000, "1h"), (93_784_001, "1d 2h 3m 5s")]
        {
            assert_eq!(span(Duration::from_millis(millis)), expected, "{millis}");
        }
        assert_eq!(exact(Duration::from_millis(3_661_007)), "1h 1m 1.007s");
        assert_eq!(hours_minutes(Duration::from_millis(60_001)), "00:02");
    }

    #[test]
    fn a_share_is_whole_only_when_nothing_is_missing() {
        assert_eq!(percent(999_999, 1_000_000), "99.999%");
        assert_eq!(percent(9_999_999, 10_000_000), "99.999%");
        assert_eq!(percent(5, 5), "100%");
        assert_eq!(percent(0, 0), "–");
    }

    #[test]
    fn time_before_the_incident_is_negative() {
        assert_eq!(offset(-17_000), "T−00:00:17");
        assert_eq!(offset(93_000), "T+00:01:33");
    }
}
