//! Reading samples: against a plain model, from head and files.
