//! What is wrong with a command line, as one sentence that names the option. Never prints and never exits.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const HINT: &str = "see vixp2p --help";

/// The sentence for a refused command line.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let options = names(error, ContextKind::InvalidArg);
    let option = options.first().map_or("an option", String::as_str);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            format!("missing {} {}; {HINT}", if options.len() == 1 { "option" } else { "options" }, options.join(" and "))
        }
        ErrorKind::UnknownArgument => unknown(error, option),
        ErrorKind::InvalidSubcommand => {
            format!("unknown command \"{}\"; {HINT}", names(error, ContextKind::InvalidSubcommand).join(" "))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Which of the two that want one shows in their usage only.
            let trust = error.to_string().contains("vixp2p trust");
            format!(
                "missing command: {}; {HINT}",
                if trust { "trust list, add, revoke or forget" } else { "key new, key show, key rotate or key passphrase" }
            )
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => invalid(error, option),
        ErrorKind::ArgumentConflict => conflict(error, option),
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::NoEquals => {
            format!("option {option} has the wrong number of values; {HINT}")
        }
        ErrorKind::InvalidUtf8 => format!("an argument is not UTF-8 text; {HINT}"),
        _ => format!("{}; {HINT}", error.to_string().lines().next().unwrap_or("the command line cannot be used")),
    }
}

fn unknown(error: &clap::Error, option: &str) -> String {
    if !option.starts_with('-') {
        return format!("unexpected argument \"{option}\"; {HINT}");
    }
    match names(error, ContextKind::SuggestedArg).first() {
        Some(near) => format!("unknown option {option}; did you mean {near}?"),
        None => format!("unknown option {option}; {HINT}"),
    }
}

fn invalid(error: &clap::Error, option: &str) -> String {
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.as_str(),
        _ => "",
    };
    let expected = names(error, ContextKind::ValidValue);
    match std::error::Error::source(error) {
        // An invite may hold a secret.
        Some(why) if vixp2p::base::Invite::is_meant(value) => format!("invalid {option}: {why}"),
        // So may an address with a user name in it, and a token is one.
        Some(why) if ["--registry", "--token"].contains(&option) => format!("invalid {option}: {why}"),
        Some(why) => format!("invalid {option} \"{value}\": {why}"),
        None if value.is_empty() => format!("option {option} needs a value; {HINT}"),
        None => format!("invalid {option} \"{value}\": expected {}", expected.join(" or ")),
    }
}

fn conflict(error: &clap::Error, option: &str) -> String {
    let prior = names(error, ContextKind::PriorArg);
    match prior.first() {
        Some(prior) if prior == option => format!("option {option} is given more than once"),
        Some(prior) if error.get(ContextKind::InvalidArg).is_none() => {
            format!("a command or a stray word does not go together with option {prior}; {HINT}")
        }
        Some(prior) => format!("option {option} does not go together with {prior}; {HINT}"),
        None => format!("{option} does not go together with the options before it; {HINT}"),
    }
}

/// The names in a piece of the error's context: "--id" of "--id <NAME>", "PEER" of "<PEER>".
fn names(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    let name = |text: &String| text.split_once(" <").map_or(text.as_str(), |(name, _)| name).trim_matches(['<', '>', '[', ']']).to_owned();
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![name(text)],
        Some(ContextValue::Strings(texts)) => texts.iter().map(name).collect(),
        _ => Vec::new(),
    }
}
