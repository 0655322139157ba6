//! `brig config check`: would `brig serve` take this configuration?

use brig_sandbox::policy;

use super::failure::Failure;
use super::ui::Ui;
use crate::config::{Config, ServeArgs};
use crate::language::Registry;

/// Look at the configuration
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Check the configuration and all profiles that it names; exits with 2 if something is wrong
    Check {
        /// Print the configuration in effect, defaults included
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
}

/// Checks; gives the exit code.
pub(super) fn run(args: &ConfigArgs, ui: &Ui) -> Result<i32, Failure> {
    let ConfigCommand::Check { show, serve } = &args.command;
    let config = serve.load().map_err(|e| Failure::usage(format!("{e:#}")))?;
    let (policies, languages) = profiles(&config)?;
    if *show {
        ui.emit(shown(&config)?.as_bytes())?;
    }
    let place = match &serve.config {
        Some(path) => path.display().to_string(),
        None => "the configuration".to_owned(),
    };
    ui.note(&format!(
        "{place} is good: {languages} languages, {policies} policies"
    ));
    Ok(0)
}

/// Checks all profiles; gives how many policies and languages there are.
fn profiles(config: &Config) -> Result<(usize, usize), Failure> {
    let wrong = |error: policy::ProfileError| Failure::usage(error.to_string());
    let policies = policy::load(config.policies_dir().map_err(wrong)?.as_deref()).map_err(wrong)?;
    let directory = config.languages_dir().map_err(wrong)?;
    let languages = Registry::load(directory.as_deref(), &policies).map_err(wrong)?;
    Ok((policies.len(), languages.all().len()))
}

fn shown(config: &Config) -> Result<String, Failure> {
    toml::to_string_pretty(config)
        .map_err(|e| Failure::usage(format!("the configuration cannot be shown: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_a_configuration() {
        let text = shown(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    }
}
