use super::*;

const LIMITS: LimitNames = LimitNames { memory: 512 << 20, spill: 1 << 30 };

#[test]
fn parser_messages_give_their_place_away() {
    let error = from_parser(&ParserError::ParserError(
        "Expected: an expression, found: FROM at Line: 3, Column: 12".to_owned(),
    ));
    assert_eq!(error.kind, QueryErrorKind::Syntax);
    assert_eq!(error.message, "expected: an expression, found: FROM");
    assert_eq!((error.line, error.column), (Some(3), Some(12)));
}

#[test]
fn own_errors_survive_the_journey() {
    let own = QueryError::sandbox("no").at(2, 7);
    let travelled = DataFusionError::from(own.clone()).context("while planning");
    assert_eq!(translate(&travelled, LIMITS), own);
    let shared = DataFusionError::Shared(std::sync::Arc::new(travelled));
    assert_eq!(translate(&shared, LIMITS), own);
}

#[test]
fn internal_errors_tell_nothing() {
    let error = translate(&DataFusionError::Internal("slot 7 of /var/lib".to_owned()), LIMITS);
    assert_eq!(error.kind, QueryErrorKind::Internal);
    assert!(!error.message.contains("/var/lib"));
}

#[test]
fn limits_name_themselves() {
    let error = translate(&DataFusionError::ResourcesExhausted("Failed to allocate".to_owned()), LIMITS);
    assert_eq!(error.kind, QueryErrorKind::Memory);
    assert_eq!(error.message, "query exceeded the memory limit of 512 MiB");
    let disk = "The used disk space during the spilling process has exceeded the allowable limit";
    let error = translate(&DataFusionError::ResourcesExhausted(disk.to_owned()), LIMITS);
    assert_eq!(error.message, "query exceeded the limit of 1 GiB for temporary files");
}

#[test]
fn messages_are_one_line_and_plain() {
    let error =
        translate(&DataFusionError::Plan("Error during planning: Cannot\n coerce this.".to_owned()), LIMITS);
    assert_eq!(error.message, "cannot coerce this");
}
