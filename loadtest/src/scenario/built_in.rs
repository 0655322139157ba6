//! The scenarios in the binary.

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

/// Names and texts of the built-in scenarios.
pub(crate) const BUILT_IN: &[(&str, &str)] = scenarios![
    "static-c",
    "c",
    "cpp-cached",
    "cpp-cold",
    "python",
    "node",
    "java",
    "judge-100",
    "accept",
    "live",
    "mixed",
    "rejudge",
    "hostile",
];
