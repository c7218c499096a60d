//! Sizes a query's trees from its tokens, before anything recursive is built from them.
//!
//! A tree of `a OR b OR c …` is as deep as it has operators, although its text nests nothing; parser,
//! planner, optimiser and evaluator all recurse over it.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{QueryError, Result};

/// Deepest nesting of parentheses, brackets and CASE.
const NESTING_MAX: usize = 100;
/// Deepest tree of operators, over all levels of nesting.
const OPERATORS_MAX: usize = 400;
/// Most UNION, INTERSECT and EXCEPT in a query.
const SET_OPERATIONS_MAX: usize = 100;

/// Refuses token lists whose tree might be too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut depth = Depth { levels: vec![Level::default()], set_operations: 0 };
    for token in tokens {
        depth.take(token)?;
    }
    Ok(())
}

struct Depth {
    levels: Vec<Level>,
    set_operations: usize,
}

/// Operators since the last comma or clause on one level of nesting, by how they bind: a run of ORs is a
/// chain, and each of its members may hold a chain of ANDs, and so on.
#[derive(Clone, Copy, Default)]
struct Level {
    ors: usize,
    ands: usize,
    others: usize,
    others_max: usize,
    ands_max: usize,
    joins: usize,
}

impl Level {
    fn depth(self) -> usize {
        self.ors + self.ands.max(self.ands_max) + self.others.max(self.others_max) + self.joins + 1
    }
}

impl Depth {
    fn take(&mut self, token: &TokenWithSpan) -> Result<()> {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => self.open(),
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma | Token::SemiColon => self.restart(),
            Token::Word(word) => self.keyword(word.keyword),
            Token::Whitespace(_) | Token::Number(..) | Token::Period | Token::EOF => {}
            other if is_literal(other) => {}
            _ => self.operator(),
        }
        let too_deep = self.levels.len() > NESTING_MAX
            || self.set_operations > SET_OPERATIONS_MAX
            || self.levels.iter().map(|level| level.depth()).sum::<usize>() > OPERATORS_MAX;
        if too_deep {
            let start = token.span.start;
            return Err(QueryError::sandbox("query is nested too deeply or chains too many operators")
                .at(start.line, start.column)
                .with_hint("use IN (…) for long lists of values"));
        }
        Ok(())
    }

    fn open(&mut self) {
        self.levels.push(Level::default());
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.levels.pop();
        }
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.open();
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// A comma or clause ends the tree of this level; joins of one FROM stay one chain.
    fn restart(&mut self) {
        let joins = self.level().joins;
        *self.level() = Level { joins, ..Level::default() };
    }

    fn operator(&mut self) {
        let level = self.level();
        level.others += 1;
        level.others_max = level.others_max.max(level.others);
    }

    fn keyword(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::OR => {
                let level = self.level();
                level.ands_max = level.ands_max.max(level.ands);
                (level.ors, level.ands, level.others) = (level.ors + 1, 0, 0);
            }
            Keyword::AND => {
                let level = self.level();
                (level.ands, level.others) = (level.ands + 1, 0);
            }
            Keyword::CASE => self.open(),
            Keyword::END => self.close(),
            Keyword::JOIN => self.level().joins += 1,
            Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS => {
                self.set_operations += 1;
                *self.level() = Level::default();
            }
            Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE => self.restart(),
            Keyword::NOT
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::IS
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::DIV
            | Keyword::XOR
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::SIMILAR => self.operator(),
            _ => {}
        }
    }
}

fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Char(_)
    )
}
