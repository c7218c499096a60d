//! What the tests start, ask and wait for. Comes in: configuration text and statements. Goes out: running
//! processes that end with the test, and parsed answers. Knows nothing of the product's insides.

pub(crate) mod atl;
pub(crate) mod disk;
pub(crate) mod edge;
pub(crate) mod exporter;
pub(crate) mod http;
pub(crate) mod nginx;
pub(crate) mod process;
pub(crate) mod s3;
pub(crate) mod server;
pub(crate) mod sql;
pub(crate) mod tools;
pub(crate) mod wait;

pub(crate) use atl::Atl;
pub(crate) use wait::eventually;
