//! Judging: whether what a program does is right.

pub mod checker;
pub mod compare;
pub mod interactive;
