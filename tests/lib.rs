//! Nothing by itself: the package exists for its tests, end to end over the real binary (`e2e`) and over the
//! workspace's own shape (`layers`). See README.md.
