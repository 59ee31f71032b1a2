//! From a scenario that ends wrong to the fewest faults that still do.

use crate::scenario::Scenario;

/// Takes out every fault without which it is still wrong. Since each fault is drawn under its own name, those that are left
/// stay as they were. At most as many rounds as there are faults.
pub fn shrink(scenario: &Scenario, is_wrong: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut smallest = scenario.clone();
    loop {
        let smaller = (0..smallest.faults.len()).rev().map(|index| without(&smallest, index)).find(|smaller| is_wrong(smaller));
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

fn without(scenario: &Scenario, index: usize) -> Scenario {
    let mut smaller = scenario.clone();
    smaller.faults.remove(index);
    smaller
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::scenario::{Planned, When};

    #[test]
    fn what_is_left_is_what_it_takes() {
        let at = |minute: i64| Planned { name: "test", when: When::At(minute), fault: Fault::RegionDown };
        let scenario = Scenario { faults: (0..8).map(at).collect(), ..Scenario::quiet(1) };
        let has = |scenario: &Scenario, minute: i64| scenario.faults.contains(&at(minute));
        let smallest = shrink(&scenario, |scenario| has(scenario, 2) && has(scenario, 5));
        assert_eq!(smallest.faults, [at(2), at(5)]);
    }
}
