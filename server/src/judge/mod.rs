//! Judging: whether what a program wrote is right.

pub mod compare;
