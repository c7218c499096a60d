//! Walks a parsed statement: which relations and table functions it names, and how large it becomes when
//! its common table expressions are put in the places that name them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr,
    ShowStatementIn, Statement, TableFactor, Value, Visitor,
};

use crate::catalog::{
    CATALOG, INFORMATION_SCHEMA, INFORMATION_TABLES, PROM, PUBLIC, READ_FILE, TABLE_FUNCTIONS,
};
use crate::error::{QueryError, Result};
use crate::hint::did_you_mean;

/// Most relations of a query, counting those of a common table expression every time it is named.
const RELATIONS_MAX: u64 = 400;
/// Longest chain of common table expressions, each naming the one before.
const CHAIN_MAX: u32 = 32;
/// Most files one query reads by name.
const FILES_MAX: usize = 16;

type Flow = ControlFlow<QueryError>;

/// What the walk has found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) lists_names: bool,
    pub(super) files: Vec<String>,
    /// Queries entered and not yet left, innermost last.
    open: Vec<OpenQuery>,
    /// Common table expressions seen so far. Where one name stands for two, the larger size counts.
    expressions: HashMap<String, Size>,
    /// The next relation is the name of a table function, checked already.
    function_name_next: bool,
}

/// How large a query is when written out.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    relations: u64,
    chain: u32,
}

#[derive(Debug, Default)]
struct OpenQuery {
    size: Size,
    /// Bodies of its WITH list, by address, with their names.
    bodies: Vec<(usize, String)>,
}

impl Visitor for Walk {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        flow(self.enter(query))
    }

    fn post_visit_query(&mut self, query: &Query) -> Flow {
        self.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        flow(check_select(select))
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> Flow {
        if std::mem::take(&mut self.function_name_next) {
            return ControlFlow::Continue(());
        }
        flow(self.relation(name))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        flow(self.table_factor(factor))
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> Flow {
        flow(match statement {
            Statement::Query(_)
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. }
            | Statement::ExplainTable { .. } => Ok(()),
            _ => Err(QueryError::sandbox("a query must not hold other statements")),
        })
    }
}

fn flow(result: Result<()>) -> Flow {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Walk {
    /// What `SHOW` names outside of the parts the visitor knows.
    pub(super) fn show(&mut self, statement: &Statement) -> Result<()> {
        let options = match statement {
            Statement::ShowTables { show_options, .. } | Statement::ShowColumns { show_options, .. } => {
                show_options
            }
            Statement::ShowFunctions { .. } => return Ok(()),
            _ => return Ok(()),
        };
        self.lists_names = true;
        match &options.show_in {
            Some(ShowStatementIn { parent_name: Some(name), .. }) => self.relation(name),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, query: &Query) -> Result<()> {
        let forbidden = [
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML and FOR JSON"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "pipe operators"),
            (query.with.as_ref().is_some_and(|with| with.recursive), "WITH RECURSIVE"),
        ];
        if let Some((_, what)) = forbidden.iter().find(|(found, _)| *found) {
            return Err(QueryError::sandbox(format!("{what} is not allowed here")));
        }
        check_body(&query.body)?;
        let bodies = query.with.iter().flat_map(|with| &with.cte_tables);
        let bodies = bodies.map(|table| (address(&table.query), normalised(&table.alias.name))).collect();
        self.open.push(OpenQuery { size: Size::default(), bodies });
        Ok(())
    }

    fn leave(&mut self, query: &Query) {
        let Some(left) = self.open.pop() else { return };
        let Some(parent) = self.open.last_mut() else { return };
        match parent.bodies.iter().find(|(body, _)| *body == address(query)) {
            Some((_, name)) => {
                let known = self.expressions.entry(name.clone()).or_default();
                known.relations = known.relations.max(left.size.relations);
                known.chain = known.chain.max(left.size.chain + 1);
            }
            None => {
                parent.size.relations += left.size.relations;
                parent.size.chain = parent.size.chain.max(left.size.chain);
            }
        }
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Result<()> {
        match factor {
            TableFactor::Table { name, args: Some(args), .. } => {
                let expressions: Vec<Option<&Expr>> = args.args.iter().map(argument).collect();
                self.table_function(name, &expressions)?;
                self.function_name_next = true;
                Ok(())
            }
            TableFactor::Function { name, args, .. } => {
                let expressions: Vec<Option<&Expr>> = args.iter().map(argument).collect();
                self.table_function(name, &expressions)
            }
            TableFactor::TableFunction { expr: Expr::Function(function), .. } => {
                self.table_function(&function.name, &[])
            }
            TableFactor::Table { sample: Some(_), .. } => {
                Err(QueryError::sandbox("TABLESAMPLE is not allowed here"))
            }
            TableFactor::Table { version: Some(_), .. } => {
                Err(QueryError::sandbox("reading older versions of a table is not allowed here"))
            }
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => Ok(()),
            _ => Err(QueryError::sandbox("this kind of table expression is not allowed here")),
        }
    }

    fn table_function(&mut self, name: &ObjectName, arguments: &[Option<&Expr>]) -> Result<()> {
        self.count(Size { relations: 1, chain: 0 })?;
        let function = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => normalised(ident),
            _ => name.to_string(),
        };
        if !TABLE_FUNCTIONS.contains(&function.as_str()) {
            let error = QueryError::sandbox(format!("table function `{function}` is not allowed here"));
            let error = place(error, name);
            return Err(match did_you_mean(&function, TABLE_FUNCTIONS) {
                Some(hint) => error.with_hint(hint),
                None => error.with_hint(format!("table functions: {}", TABLE_FUNCTIONS.join(", "))),
            });
        }
        if function != READ_FILE {
            return Ok(());
        }
        let [Some(Expr::Value(value))] = arguments else {
            return Err(place(QueryError::plan("`read_file` takes one key in single quotes"), name));
        };
        let Value::SingleQuotedString(key) = &value.value else {
            return Err(place(QueryError::plan("`read_file` takes one key in single quotes"), name));
        };
        if !self.files.contains(key) {
            self.files.push(key.clone());
        }
        if self.files.len() > FILES_MAX {
            return Err(QueryError::sandbox(format!("a query may read {FILES_MAX} files by name, not more")));
        }
        Ok(())
    }

    fn relation(&mut self, name: &ObjectName) -> Result<()> {
        let parts = parts(name)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if let [single] = parts.as_slice()
            && let Some(size) = self.expressions.get(*single)
        {
            return self.count(*size);
        }
        self.count(Size { relations: 1, chain: 0 })?;
        let (schema, table) = match parts.as_slice() {
            [table] => (PUBLIC, *table),
            [schema, table] => (*schema, *table),
            [catalog, schema, table] if *catalog == CATALOG => (*schema, *table),
            _ => return Err(place(QueryError::sandbox(format!("`{name}` is not a table here")), name)),
        };
        self.check_schema(schema, table, name)
    }

    fn check_schema(&mut self, schema: &str, table: &str, name: &ObjectName) -> Result<()> {
        match schema {
            PUBLIC | PROM => Ok(()),
            INFORMATION_SCHEMA if INFORMATION_TABLES.contains(&table.to_lowercase().as_str()) => {
                self.lists_names = true;
                Ok(())
            }
            INFORMATION_SCHEMA => {
                let error = QueryError::sandbox(format!("`{name}` is not a table here"));
                Err(place(error, name).with_hint(format!("tables of it: {}", INFORMATION_TABLES.join(", "))))
            }
            other => {
                let error = place(QueryError::sandbox(format!("schema `{other}` does not exist")), name);
                let schemas = [PUBLIC, PROM, INFORMATION_SCHEMA];
                Err(match did_you_mean(other, schemas) {
                    Some(hint) => error.with_hint(hint),
                    None => error.with_hint(format!("schemas: {}", schemas.join(", "))),
                })
            }
        }
    }

    fn count(&mut self, size: Size) -> Result<()> {
        let Some(query) = self.open.last_mut() else { return Ok(()) };
        query.size.relations = query.size.relations.saturating_add(size.relations);
        query.size.chain = query.size.chain.max(size.chain);
        if query.size.relations > RELATIONS_MAX || query.size.chain > CHAIN_MAX {
            return Err(QueryError::sandbox("query names too many tables, written out"));
        }
        Ok(())
    }
}

fn check_body(body: &SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => Ok(()),
        SetExpr::SetOperation { left, right, .. } => check_body(left).and_then(|()| check_body(right)),
        SetExpr::Table(_) => {
            Err(QueryError::sandbox("TABLE is not allowed here").with_hint("write SELECT * FROM …"))
        }
        _ => Err(QueryError::sandbox("a query must not change data")),
    }
}

fn check_select(select: &Select) -> Result<()> {
    let forbidden = [
        (select.into.is_some(), "SELECT INTO"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
    ];
    match forbidden.iter().find(|(found, _)| *found) {
        Some((_, what)) => Err(QueryError::sandbox(format!("{what} is not allowed here"))),
        None => Ok(()),
    }
}

/// Identifies a node of the tree while the tree stands still.
fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The parts of a name as the planner will read them. Names in single quotes are paths elsewhere.
fn parts(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) if !matches!(ident.quote_style, Some('\'')) => {
                Ok(normalised(ident))
            }
            _ => Err(place(QueryError::sandbox(format!("{name} is not a table here")), name)
                .with_hint("files are read with read_file('<key>')")),
        })
        .collect()
}

fn normalised(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Puts the place of `name` into an error.
fn place(error: QueryError, name: &ObjectName) -> QueryError {
    match name.0.first() {
        Some(ObjectNamePart::Identifier(ident)) => error.at(ident.span.start.line, ident.span.start.column),
        _ => error,
    }
}
