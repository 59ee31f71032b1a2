//! Workflow variables.
//!
//! The top level of a machine, each branch of a Parallel and each iteration of a Map has a scope of its
//! own. An inner scope reads outer variables and can never assign an outer name; its variables are gone
//! when it ends. Which name means which variable is settled when the machine is loaded.

use std::cell::RefCell;
use std::rc::Rc;

use crate::value::Value;

/// The names that the states of one workflow assign, and those around it.
#[derive(Debug)]
pub(crate) struct ScopeNames {
    pub(crate) parent: Option<Rc<ScopeNames>>,
    pub(crate) names: Vec<Rc<str>>,
}

/// Where a variable is: `depth` scopes outwards, at `slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) depth: usize,
    pub(crate) slot: usize,
}

impl ScopeNames {
    pub(crate) fn resolve(&self, name: &str) -> Option<Slot> {
        if let Some(slot) = self.names.iter().position(|known| &**known == name) {
            return Some(Slot { depth: 0, slot });
        }
        let outer = self.parent.as_ref()?.resolve(name)?;
        Some(Slot { depth: outer.depth + 1, slot: outer.slot })
    }

    /// Every name that can be read here, for messages.
    pub(crate) fn all(&self) -> Vec<Rc<str>> {
        let mut names = self.names.clone();
        if let Some(parent) = &self.parent {
            names.extend(parent.all());
        }
        names
    }
}

/// The values of one scope, with the length of their JSON text.
pub(crate) struct Scope {
    parent: Option<Rc<Scope>>,
    values: RefCell<Vec<Option<(Value, usize)>>>,
}

impl Scope {
    pub(crate) fn new(names: &ScopeNames, parent: Option<Rc<Scope>>) -> Self {
        Self { parent, values: RefCell::new(vec![None; names.names.len()]) }
    }

    /// The variable's value and its length, or `None` when no state has assigned it yet.
    pub(crate) fn get(&self, slot: Slot) -> Option<(Value, usize)> {
        let mut scope = self;
        for _ in 0..slot.depth {
            scope = scope.parent.as_deref()?;
        }
        let values = scope.values.borrow();
        values.get(slot.slot)?.clone()
    }

    /// Sets one of this scope's own variables; returns by how many bytes the scope grew.
    pub(crate) fn set(&self, slot: usize, value: Value, bytes: usize) -> isize {
        let mut values = self.values.borrow_mut();
        let Some(place) = values.get_mut(slot) else {
            return 0;
        };
        let before = place.as_ref().map_or(0, |(_, bytes)| *bytes);
        *place = Some((value, bytes));
        bytes as isize - before as isize
    }

    /// Bytes of this scope's own variables.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.values.borrow();
        values.iter().flatten().map(|(_, bytes)| bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_scope_reads_outer_variables_and_keeps_its_own() {
        let outer_names = Rc::new(ScopeNames { parent: None, names: vec!["a".into()] });
        let inner_names = ScopeNames { parent: Some(outer_names.clone()), names: vec!["b".into()] };
        let outer = Rc::new(Scope::new(&outer_names, None));
        let inner = Scope::new(&inner_names, Some(outer.clone()));
        assert_eq!(outer.set(0, Value::from(1_i64), 1), 1);
        assert_eq!(inner.set(0, Value::from(22_i64), 2), 2);
        let read = |name: &str| inner.get(inner_names.resolve(name).unwrap());
        assert_eq!(read("a"), Some((Value::from(1_i64), 1)));
        assert_eq!(read("b"), Some((Value::from(22_i64), 2)));
        assert_eq!(outer_names.resolve("b"), None);
        assert_eq!(inner.bytes(), 2);
    }
}
