//! Resolves every name of an expression when the machine is loaded.

use std::collections::BTreeSet;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

use crate::functions;
use crate::limits::MAX_EXPRESSION_DEPTH;
use crate::scope::ScopeNames;

/// What a field's expressions may refer to, besides variables.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Available {
    /// `$states.result`: in the Output and Assign of Task, Parallel and Map.
    pub(crate) result: bool,
    /// `$states.errorOutput`: in the Output and Assign of a Catch.
    pub(crate) error_output: bool,
    /// `$states.context.Task.Token`: in a Task that waits for one.
    pub(crate) token: bool,
    /// `$states.context.Map.Item`: in an ItemSelector and inside an ItemProcessor.
    pub(crate) map_item: bool,
}

/// Which parts of `$states` an expression reads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StatesUse {
    pub(crate) input: bool,
    pub(crate) result: bool,
    pub(crate) error_output: bool,
    pub(crate) context: bool,
}

impl StatesUse {
    pub(crate) fn any(self) -> bool {
        self.input || self.result || self.error_output || self.context
    }
}

/// What an expression refers to.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) states: StatesUse,
    /// Workflow variables that it reads.
    pub(crate) variables: BTreeSet<String>,
    /// Those of them that it also asks `$exists` about: they may be without a value.
    pub(crate) asked: BTreeSet<String>,
    /// Host functions that it calls.
    pub(crate) host_functions: BTreeSet<&'static str>,
    pub(crate) problems: Vec<String>,
}

/// Walks `ast`. Problems are sentences without the expression and its place.
pub(crate) fn resolve(ast: &AstNode, scope: &ScopeNames, available: Available) -> Names {
    let mut walker = Walker { names: Names::default(), scope, available, locals: Vec::new(), depth: 0 };
    walker.node(ast, true);
    walker.names
}

struct Walker<'a> {
    names: Names,
    scope: &'a ScopeNames,
    available: Available,
    locals: Vec<String>,
    depth: usize,
}

impl Walker<'_> {
    fn problem(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.names.problems.contains(&sentence) {
            self.names.problems.push(sentence);
        }
    }

    /// `at_root`: there is no context item here, so `$` and a bare field name mean nothing.
    fn node(&mut self, node: &AstNode, at_root: bool) {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            self.problem(format!("is nested deeper than {MAX_EXPRESSION_DEPTH} levels; split it over several states"));
            return;
        }
        self.depth += 1;
        self.visit(node, at_root);
        self.depth -= 1;
    }

    fn nodes<'n>(&mut self, nodes: impl IntoIterator<Item = &'n AstNode>, at_root: bool) {
        for node in nodes {
            self.node(node, at_root);
        }
    }

    fn visit(&mut self, node: &AstNode, at_root: bool) {
        match node {
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::Parent(_) => {}
            AstNode::Name(name) => {
                if at_root {
                    self.problem(format!("uses the field name {name:?} with nothing before it; write $states.input.{name} or name a variable"));
                }
            }
            AstNode::Wildcard | AstNode::Descendant => {
                if at_root {
                    self.problem("uses a wildcard with nothing before it; write $states.input first");
                }
            }
            AstNode::Variable(name) => self.variable(name, at_root),
            AstNode::ParentVariable(_) => self.problem("uses $$, which Step Functions does not provide; write $states.input"),
            AstNode::Path { steps } => self.path(steps, at_root),
            AstNode::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs, at_root),
            AstNode::Unary { operand, .. } => self.node(operand, at_root),
            AstNode::Function { name, args, is_builtin } => self.call(name, args, *is_builtin, at_root),
            AstNode::Call { procedure, args } => {
                self.node(procedure, at_root);
                self.nodes(args, at_root);
            }
            AstNode::Lambda { params, body, .. } => {
                let before = self.locals.len();
                self.locals.extend(params.iter().cloned());
                self.node(body, at_root);
                self.locals.truncate(before);
            }
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.nodes(items, at_root),
            AstNode::Object(pairs) => {
                for (key, value) in pairs {
                    self.node(key, at_root);
                    self.node(value, at_root);
                }
            }
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input, at_root);
                for (key, value) in pattern {
                    self.node(key, false);
                    self.node(value, false);
                }
            }
            AstNode::Block(items) => {
                let before = self.locals.len();
                self.nodes(items, at_root);
                self.locals.truncate(before);
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.node(condition, at_root);
                self.node(then_branch, at_root);
                if let Some(branch) = else_branch {
                    self.node(branch, at_root);
                }
            }
            AstNode::FunctionApplication(inner) => self.node(inner, at_root),
            AstNode::Sort { input, terms } => {
                self.node(input, at_root);
                self.nodes(terms.iter().map(|(term, _)| term), false);
            }
            AstNode::Transform { location, update, delete } => {
                self.node(location, false);
                self.node(update, false);
                if let Some(delete) = delete {
                    self.node(delete, false);
                }
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, lhs: &AstNode, rhs: &AstNode, at_root: bool) {
        match (op, lhs) {
            (BinaryOp::ColonEqual, AstNode::Variable(name)) => {
                if name == "states" {
                    self.problem("assigns $states, which is reserved; use another name");
                }
                // Bound first: a function may call itself by the name it is given.
                self.locals.push(name.clone());
                self.node(rhs, at_root);
            }
            (BinaryOp::FocusBind | BinaryOp::IndexBind, _) => {
                self.node(lhs, at_root);
                if let AstNode::Variable(name) = rhs {
                    self.locals.push(name.clone());
                }
            }
            _ => {
                self.node(lhs, at_root);
                self.node(rhs, at_root);
            }
        }
    }

    fn path(&mut self, steps: &[PathStep], at_root: bool) {
        if let Some(first) = steps.first()
            && matches!(&first.node, AstNode::Variable(name) if name == "states")
            && !self.is_local("states")
        {
            self.states_path(steps);
            self.stages(first);
            for step in &steps[1..] {
                self.node(&step.node, false);
                self.stages(step);
            }
            return;
        }
        for (index, step) in steps.iter().enumerate() {
            self.node(&step.node, at_root && index == 0);
            self.stages(step);
        }
    }

    fn stages(&mut self, step: &PathStep) {
        // What `@$name` and `#$name` bind stays visible in the rest of the enclosing block.
        self.locals.extend(step.focus.iter().cloned());
        self.locals.extend(step.index_var.iter().cloned());
        for stage in &step.stages {
            match stage {
                Stage::Filter(filter) => self.node(filter, false),
                Stage::Index(name) => self.locals.push(name.clone()),
                Stage::KeepArray => {}
            }
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    fn variable(&mut self, name: &str, at_root: bool) {
        if name.is_empty() {
            if at_root {
                self.problem("uses $ where nothing is selected; write $states.input");
            }
        } else if self.is_local(name) {
        } else if name == "states" {
            self.whole_states();
        } else if self.scope.resolve(name).is_some() {
            self.names.variables.insert(name.to_owned());
        } else if name == "eval" {
            self.problem(NO_EVAL);
        } else if let Some(host) = functions::host_function(name) {
            self.names.host_functions.insert(host);
        } else if !functions::is_builtin(name) {
            let known = self.scope.all();
            self.problem(if known.is_empty() {
                format!("reads ${name}, but no state assigns any variable here; assign it first")
            } else {
                format!("reads ${name}, but no state assigns it here; the variables are ${}", known.join(", $"))
            });
        }
    }

    fn call(&mut self, name: &str, args: &[AstNode], is_builtin: bool, at_root: bool) {
        if self.is_local(name) {
        } else if self.scope.resolve(name).is_some() {
            self.problem(format!("calls ${name}(), but ${name} is a workflow variable here and hides the function; rename the variable"));
        } else if name == "eval" {
            self.problem(NO_EVAL);
        } else if !is_builtin {
            self.problem(format!("calls {name}() without a $; write ${name}()"));
        } else if let Some(host) = functions::host_function(name) {
            self.names.host_functions.insert(host);
        } else if !functions::is_builtin(name) {
            self.problem(format!("calls ${name}(), which neither JSONata nor Step Functions provides"));
        } else if name == "exists"
            && let [AstNode::Variable(asked)] = args
        {
            self.names.asked.insert(asked.clone());
        }
        self.nodes(args, at_root);
    }

    fn whole_states(&mut self) {
        self.names.states = StatesUse { input: true, result: self.available.result, error_output: self.available.error_output, context: true };
    }

    fn states_path(&mut self, steps: &[PathStep]) {
        let bare = steps[0].stages.is_empty() && steps[0].focus.is_none();
        let field = steps.get(1).map(|step| &step.node);
        let (true, Some(AstNode::Name(field))) = (bare, field) else {
            self.whole_states();
            return;
        };
        match field.as_str() {
            "input" => self.names.states.input = true,
            "result" => {
                self.names.states.result = true;
                if !self.available.result {
                    self.problem("reads $states.result, which exists only in the Output and Assign of a Task, Parallel or Map; read $states.input");
                }
            }
            "errorOutput" => {
                self.names.states.error_output = true;
                if !self.available.error_output {
                    self.problem("reads $states.errorOutput, which exists only in the Output and Assign of a Catch");
                }
            }
            "context" => {
                self.names.states.context = true;
                self.context_path(&steps[2..]);
            }
            other => self.problem(format!("reads $states.{other}; $states has input, result, errorOutput and context")),
        }
    }

    fn context_path(&mut self, steps: &[PathStep]) {
        let name = |index: usize| match steps.get(index).map(|step| &step.node) {
            Some(AstNode::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let Some(section) = name(0) else { return };
        let fields: &[&str] = match section {
            "Execution" => &["Id", "Input", "Name", "RoleArn", "StartTime", "RedriveCount"],
            "State" => &["EnteredTime", "Name", "RetryCount"],
            "StateMachine" => &["Id", "Name"],
            "Task" => &["Token"],
            "Map" => &["Item"],
            other => {
                self.problem(format!("reads $states.context.{other}; the context has Execution, State, StateMachine, Task and Map"));
                return;
            }
        };
        if let Some(field) = name(1)
            && !fields.contains(&field)
        {
            self.problem(format!("reads $states.context.{section}.{field}; {section} has {}", fields.join(", ")));
        }
        if section == "Task" && !self.available.token {
            self.problem("reads the task token, but this field belongs to no Task with .waitForTaskToken");
        }
        if section == "Map" {
            if !self.available.map_item {
                self.problem("reads $states.context.Map, which exists only in an ItemSelector and inside an ItemProcessor");
            } else if let Some(field) = name(2)
                && !["Index", "Value"].contains(&field)
            {
                self.problem(format!("reads $states.context.Map.Item.{field}; Item has Index and Value"));
            }
        }
    }
}

const NO_EVAL: &str = "uses $eval, which Step Functions does not provide; use $parse to read JSON";
