//! `completions` and `man`: what the option definitions say, for shells and for `man`. Never looks at a node.

use std::fs;
use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole(Cli::command()), "vixp2p", &mut script);
    io::stdout().write_all(&script).map_err(Failure::stdout)
}

pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let page = page(whole(Cli::command()))?;
        return io::stdout().write_all(&page).map_err(Failure::stdout);
    };
    fs::create_dir_all(dir).map_err(Failure::io(format!("making {}", dir.display())))?;
    let mut all = whole(Cli::command());
    all.build();
    let mut waiting = vec![("vixp2p".to_owned(), all)];
    while let Some((name, command)) = waiting.pop() {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            waiting.push((format!("{name}-{}", below.get_name()), below.clone()));
        }
        let path = dir.join(format!("{name}.1"));
        let page = page(command.name(name.clone()).display_name(name))?;
        fs::write(&path, page).map_err(Failure::io(format!("writing {}", path.display())))?;
    }
    Ok(())
}

/// The command with what the help leaves out to fit a screen.
fn whole(command: clap::Command) -> clap::Command {
    command.hide(false).mut_args(|arg| arg.hide(false)).mut_subcommands(whole)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    // The template is for a screen and names its commands by itself.
    clap_mangen::Man::new(command).render(&mut page).map_err(Failure::io("making the manual page"))?;
    Ok(page)
}
