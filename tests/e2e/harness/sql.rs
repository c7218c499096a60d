//! Asking in SQL and reading the JSON answer.

use serde_json::{Value, json};

use super::{Atl, http};

/// An answer to a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) truncated: bool,
}

impl Rows {
    /// The values of a column.
    pub(crate) fn column(&self, name: &str) -> Vec<&Value> {
        let index = self.columns.iter().position(|column| column == name);
        let index = index.unwrap_or_else(|| panic!("no column `{name}` in {:?}", self.columns));
        self.rows.iter().map(|row| &row[index]).collect()
    }

    /// The values of a column of text.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.column(name).iter().map(|value| value.as_str().expect("a text")).collect()
    }

    /// The only value of a one-by-one answer, as a whole number.
    pub(crate) fn number(&self) -> i64 {
        assert_eq!((self.columns.len(), self.rows.len()), (1, 1), "not one value: {self:?}");
        self.rows[0][0].as_i64().unwrap_or_else(|| panic!("not a whole number: {self:?}"))
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refusal {
    pub(crate) fn message(&self) -> &str {
        self.body["error"].as_str().unwrap_or_else(|| panic!("no `error` in {}", self.body))
    }
}

impl Atl {
    /// Runs a statement that must succeed.
    pub(crate) async fn sql(&self, statement: &str) -> Rows {
        match self.try_sql(statement).await {
            Ok(rows) => rows,
            Err(refusal) => panic!("`{statement}` was refused with {}: {}", refusal.status, refusal.body),
        }
    }

    /// Runs a statement that must be refused.
    pub(crate) async fn refused_sql(&self, statement: &str) -> Refusal {
        match self.try_sql(statement).await {
            Ok(rows) => {
                panic!("`{statement}` was not refused: {} rows, {:?}", rows.rows.len(), rows.rows.first())
            }
            Err(refusal) => refusal,
        }
    }

    /// A count, for [`super::eventually`]: a table that is not there yet is a reason to wait.
    pub(crate) async fn count(&self, statement: &str) -> Result<i64, String> {
        let rows = self.try_sql(statement).await.map_err(|refusal| refusal.body.to_string())?;
        Ok(rows.number())
    }

    /// Runs a statement.
    pub(crate) async fn try_sql(&self, statement: &str) -> Result<Rows, Refusal> {
        let request = http::client().post(self.url("/api/sql")).body(statement.to_owned());
        let answer =
            http::send(request).await.unwrap_or_else(|error| panic!("no answer to `{statement}`: {error}"));
        rows_of(answer)
    }

    /// Runs a statement with a row limit of its own.
    pub(crate) async fn sql_limited(&self, statement: &str, limit: usize) -> Rows {
        let body = json!({ "query": statement, "limit": limit }).to_string();
        let request =
            http::client().post(self.url("/api/sql")).header("content-type", "application/json").body(body);
        let answer = http::send(request).await.expect("an answer");
        rows_of(answer).unwrap_or_else(|refusal| panic!("`{statement}` was refused: {}", refusal.body))
    }
}

fn rows_of(answer: http::Answer) -> Result<Rows, Refusal> {
    let mut body = answer.json();
    if answer.status != 200 {
        return Err(Refusal { status: answer.status, body });
    }
    let list = |value: &mut Value| value.take().as_array().cloned().expect("a list");
    let columns = list(&mut body["columns"]);
    let columns = columns.iter().map(|column| column["name"].as_str().expect("a name").to_owned()).collect();
    let rows = list(&mut body["rows"]).iter().map(|row| row.as_array().expect("a row").clone()).collect();
    Ok(Rows { columns, rows, truncated: body["truncated"] == true })
}
