//! Who reaches whom: regions that are dark or cut off, and control planes that are down while data planes serve.
//!
//! Not modelled: packet loss, slow links, a single zone.

use std::collections::BTreeSet;

use muster_plan::RegionRole;

/// Somebody who looks at a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// Something in that region.
    Region(RegionRole),
    /// The service's clients.
    Clients,
}

/// The state of regions and of the links between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    dark: BTreeSet<RegionRole>,
    cut: BTreeSet<(From, RegionRole)>,
    planes_down: BTreeSet<(RegionRole, &'static str)>,
    global_planes_down: bool,
}

impl Network {
    /// Takes a region down: nothing in it works, nobody reaches it.
    pub fn darken(&mut self, region: RegionRole) {
        self.dark.insert(region);
    }

    /// Cuts a region off from another one, both ways.
    pub fn cut(&mut self, one: RegionRole, other: RegionRole) {
        self.cut.insert((From::Region(one), other));
        self.cut.insert((From::Region(other), one));
    }

    /// Brings a region, and every link to it, back.
    pub fn restore(&mut self, region: RegionRole) {
        self.dark.remove(&region);
        self.cut.retain(|(from, to)| *to != region && *from != From::Region(region));
        self.planes_down.retain(|(at, _)| *at != region);
    }

    /// Takes one service's control plane in a region down, such as `rds`.
    pub fn stop_control_plane(&mut self, region: RegionRole, service: &'static str) {
        self.planes_down.insert((region, service));
    }

    /// Takes the control planes down that AWS keeps in us-east-1 for all regions.
    pub fn stop_global_planes(&mut self) {
        self.global_planes_down = true;
    }

    /// Whether a service has its only control plane in us-east-1, and that is down.
    pub fn global_planes_fail(&self, service: &str) -> bool {
        self.global_planes_down && matches!(service, "route53" | "iam" | "cloudfront")
    }

    /// Whether the region's machines run.
    pub fn is_up(&self, region: RegionRole) -> bool {
        !self.dark.contains(&region)
    }

    /// Whether a packet from `from` arrives in `to`, and an answer comes back.
    pub fn reaches(&self, from: From, to: RegionRole) -> bool {
        let from_up = match from {
            From::Region(region) => self.is_up(region),
            From::Clients => true,
        };
        // A region that is up always reaches itself.
        from_up && self.is_up(to) && !self.cut.contains(&(from, to))
    }

    /// Whether a service's control plane in a region answers those who reach it.
    pub fn control_plane_answers(&self, region: RegionRole, service: &str) -> bool {
        !self.planes_down.iter().any(|(at, name)| *at == region && *name == service)
    }

    /// Whether anything at all is wrong with a region.
    pub fn is_disturbed(&self, region: RegionRole) -> bool {
        !self.is_up(region) || self.cut.iter().any(|(_, to)| *to == region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RegionRole::{Primary, Standby, Witness};

    #[test]
    fn a_region_that_is_cut_off_still_serves_its_clients() {
        let mut network = Network::default();
        network.cut(Standby, Primary);
        assert!(!network.reaches(From::Region(Standby), Primary));
        assert!(!network.reaches(From::Region(Primary), Standby));
        assert!(network.reaches(From::Region(Witness), Primary));
        assert!(network.reaches(From::Clients, Primary));
        network.restore(Primary);
        assert!(network.reaches(From::Region(Standby), Primary));
    }

    #[test]
    fn nobody_reaches_a_dark_region_and_it_reaches_nobody() {
        let mut network = Network::default();
        network.darken(Primary);
        assert!(!network.reaches(From::Clients, Primary));
        assert!(!network.reaches(From::Region(Primary), Standby));
        assert!(!network.reaches(From::Region(Primary), Primary));
    }
}
