//! What is told to people is pasted into a shell.
#![cfg(test)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use pilotage_command_line::{CommandLines, quoted};

/// What a program is given when a shell reads the line; git says who the person is by a file of its own.
fn arguments(line: &str, home: &Path) -> Vec<String> {
    let config = home.join("gitconfig");
    std::fs::write(&config, "[user]\nname = Ana O'Hara\nemail = ana@example.com\n").unwrap();
    let (program, _) = line.split_once(' ').unwrap();
    if program != "git" {
        let tell = home.join(program);
        std::fs::write(&tell, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        std::fs::set_permissions(&tell, Permissions::from_mode(0o755)).unwrap();
    }
    let run = Command::new("sh")
        .args(["-c", &format!("PATH=\"{}:$PATH\"\n{line}", home.display())])
        .env("GIT_CONFIG_GLOBAL", config)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success(), "{line}: {run:?}");
    let said = String::from_utf8(run.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_reads_back_what_was_quoted() {
    let home = tempfile::tempdir().unwrap();
    for hostile in [
        "a b", "it's", "$(id)", "`id`", "*", "~", "-x y", "a;b", "\\", "\"", "é", "",
    ] {
        let line = format!("say {}", quoted(hostile));
        assert_eq!(arguments(&line, home.path()), [hostile], "{line}");
    }
    assert_eq!(quoted("git@host:group/shop.git"), "git@host:group/shop.git");
}

#[test]
fn a_command_names_its_repository_and_whoever_types_it() {
    let home = tempfile::tempdir().unwrap();
    let lines = CommandLines::new("/srv/it's here/env.git", "po;licy");
    let tip = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let accept = lines.accept(&"qa".parse().unwrap(), &tip);
    let given = arguments(&accept, home.path());
    assert_eq!(
        given,
        [
            "accept",
            "--repo",
            "/srv/it's here/env.git",
            "--config-branch",
            "po;licy",
            "--env",
            "qa",
            "--commit",
            tip.as_str(),
            "--by",
            "Ana O'Hara <ana@example.com>",
            "--reason",
            "the new history of qa is meant",
        ]
    );
    let back = lines.put_back("$(id)", &tip).replacen("git ", "stand-in ", 1);
    assert_eq!(
        arguments(&back, home.path())[3],
        format!("{tip}:refs/heads/$(id)")
    );
}

#[test]
fn the_branch_that_everybody_has_is_not_said() {
    let lines = CommandLines::new("https://git.example.com/env.git", "main");
    let (environment, service) = ("qa".parse().unwrap(), "shop".parse().unwrap());
    assert_eq!(
        lines.release(&environment, &service),
        "pilotage-release run --repo https://git.example.com/env.git --env qa --service shop"
    );
    assert_eq!(
        CommandLines::without_address("main").status(),
        "pilotage-release status --repo URL"
    );
}
