//! Choosing among the hits of a search, on a terminal.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use inquire::{InquireError, MultiSelect, validator::MinLengthValidator};
use p2pshare_core::{
    api::{Hit, SearchQuery},
    text::visible,
};

use crate::{
    cli::{
        args::Asked,
        context::Context,
        exit::{CliError, Exit},
        output::{bytes, count},
    },
    download::Target,
    index_client::IndexClient,
    link::ShareLink,
};

/// Most hits that are offered.
const MOST: u32 = 100;

/// Hits that are seen at a time.
const PAGE: usize = 15;

/// Longest name that is shown whole, in characters.
const NAME: usize = 60;

/// What to download: what was named, or what somebody chooses among the hits for the words that were given.
///
/// # Errors
/// Wrong usage when there are words and nobody to choose, or words beside targets.
pub(crate) async fn targets(
    context: &Context,
    client: &IndexClient,
    asked: &[Asked],
) -> Result<Vec<Target>, CliError> {
    let mut targets = Vec::new();
    let mut words = Vec::new();
    let mut reason = None;
    for it in asked {
        match it {
            Asked::Target(target) => targets.push(target.clone()),
            Asked::Word { word, error } => {
                words.push(word.as_str());
                reason.get_or_insert(error);
            }
        }
    }
    let Some(reason) = reason else { return Ok(targets) };
    let words = words.join(" ");
    let may_ask =
        !context.output.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal();
    if !targets.is_empty() || !may_ask {
        return Err(CliError::new(Exit::Usage, reason.to_string()).hint(format!(
            "look for it with `p2pshare-peer search {words}`; on a terminal `p2pshare-peer get {words}` offers what it \
             finds"
        )));
    }
    choose(client, words).await
}

async fn choose(client: &IndexClient, words: String) -> Result<Vec<Target>, CliError> {
    let query = SearchQuery { q: words.clone(), limit: Some(MOST), ..SearchQuery::default() };
    let page = client.search(&query).await?;
    if page.hits.is_empty() {
        return Err(CliError::new(Exit::NotFound, format!("nothing was found for {words:?}"))
            .hint("use fewer words or only their beginnings"));
    }
    let more = if page.next.is_some() { ", and more: add words" } else { "" };
    let title = format!("What to download? ({}{more})", count(page.hits.len() as u64, "hit"));
    let choices: Vec<_> = page.hits.into_iter().map(Choice).collect();
    // It waits for somebody to type.
    let answered = tokio::task::spawn_blocking(move || {
        MultiSelect::new(&title, choices)
            .with_page_size(PAGE)
            .with_help_message("space chooses, enter downloads, letters filter, escape gives up")
            .with_validator(MinLengthValidator::new(1).with_message("choose one with space"))
            .with_formatter(&|chosen| count(chosen.len() as u64, "file"))
            .prompt()
    });
    let chosen = answered.await.map_err(CliError::failed)?.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            CliError::failed("nothing was chosen")
        }
        other => CliError::failed(format!("the terminal cannot be used: {other}")),
    })?;
    Ok(chosen.into_iter().map(|Choice(hit)| target(client, &hit)).collect())
}

/// A hit by its content, and by the name under which it was seen.
fn target(client: &IndexClient, hit: &Hit) -> Target {
    match hit.names.first() {
        Some(name) => {
            let link = ShareLink::new(client.url().clone(), hit.content, &name.path);
            Target::Link(Box::new(link))
        }
        None => Target::Content(hit.content),
    }
}

/// A hit in one line.
struct Choice(Hit);

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(hit) = self;
        match hit.names.first() {
            Some(name) => {
                let path = visible(name.path.as_str()).to_string();
                let length = path.chars().count();
                if length > NAME {
                    let end: String = path.chars().skip(length - NAME + 1).collect();
                    write!(f, "{}:/…{end}", name.owner)?;
                } else {
                    write!(f, "{}:/{path}", name.owner)?;
                }
            }
            None => write!(f, "{}", hit.content)?,
        }
        write!(f, "  {}", bytes(hit.size))?;
        write!(f, "  {} online of {}", hit.online, count(hit.sources.into(), "source"))
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{api::HitName, path::SharePath, time::Timestamp};

    use super::*;

    fn hit(path: &str) -> Choice {
        let name =
            HitName { path: SharePath::parse(path).unwrap(), owner: "alice".parse().unwrap() };
        Choice(Hit {
            content: "ab".repeat(32).parse().unwrap(),
            size: 3 << 20,
            names: vec![name],
            published_at: Timestamp::from_millis(0),
            online: 1,
            sources: 2,
        })
    }

    #[test]
    fn a_choice_says_what_it_is_and_plays_no_tricks() {
        let shown = hit("Music/Blue Train.flac").to_string();
        assert_eq!(shown, "alice:/Music/Blue Train.flac  3.00 MiB  1 online of 2 sources");
        let shown = hit("a\u{202e}b.txt").to_string();
        assert!(shown.contains("\\u{202e}") && !shown.contains('\u{202e}'), "{shown}");
        let shown = hit(&format!("{}/the end.txt", "x".repeat(200))).to_string();
        assert!(shown.chars().count() < 120 && shown.contains("/the end.txt"), "{shown}");
    }
}
