//! Judging: whether what a program wrote is right.

pub mod checker;
pub mod compare;
