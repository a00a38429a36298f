//! Choosing among the hits of a search, on a terminal.

use std::io::{self, IsTerminal};

use inquire::{InquireError, MultiSelect, validator::MinLengthValidator};
use p2pshare_core::{
    api::{Hit, SearchQuery},
    text::visible,
};
use rustix::termios::tcgetwinsize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// Columns of a terminal that does not say how many it has.
const ORDINARY: usize = 80;

/// Columns in front of a line, for the marks of what is chosen, and one behind it.
const MARGIN: usize = 7;

/// Columns that a name has in any case.
const LEAST_NAME: usize = 20;

/// Between the parts of a line.
const GAP: &str = "  ";

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
    let more = if page.next.is_some() { " and more: add words" } else { "" };
    let title = format!("{}{more}. What to download?", count(page.hits.len() as u64, "hit"));
    let choices = lines(&page.hits, columns());
    // What is not shown of a long name is found too.
    let names: Vec<_> = page.hits.iter().map(|hit| name(hit).to_lowercase()).collect();
    // It waits for somebody to type.
    let answered = tokio::task::spawn_blocking(move || {
        // Of one there is nothing to choose but whether.
        let chosen: &[usize] = if choices.len() == 1 { &[0] } else { &[] };
        MultiSelect::new(&title, choices)
            .with_default(chosen)
            .with_page_size(PAGE)
            .with_help_message("space: choose, enter: download, letters: filter, escape: give up")
            .with_validator(MinLengthValidator::new(1).with_message("choose one with space"))
            .with_scorer(&|typed, _, _, index| has_words(names.get(index)?, typed).then_some(0))
            .with_formatter(&|chosen| count(chosen.len() as u64, "file"))
            .raw_prompt()
    });
    let chosen = answered.await.map_err(CliError::failed)?.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            CliError::failed("nothing was chosen")
        }
        other => CliError::failed(format!("the terminal cannot be used: {other}")),
    })?;
    let hits = chosen.into_iter().filter_map(|chosen| page.hits.get(chosen.index));
    Ok(hits.map(|hit| target(client, hit)).collect())
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

/// Whether a name, in small letters, has all words that were typed.
fn has_words(name: &str, typed: &str) -> bool {
    typed.to_lowercase().split_whitespace().all(|word| name.contains(word))
}

/// How wide the terminal is that the choice is shown on.
fn columns() -> usize {
    tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col).into()
}

/// Hits in one line each, as wide as fits: who has what, how large it is, and how many have it.
fn lines(hits: &[Hit], columns: usize) -> Vec<String> {
    let sources = |hit: &Hit| format!("{} of {} online", hit.online, hit.sources);
    let widest = |text: &dyn Fn(&Hit) -> String| hits.iter().map(|hit| text(hit).width()).max();
    let size = |hit: &Hit| bytes(hit.size).to_string();
    let size_width = widest(&size).unwrap_or(0);
    let sources_width = widest(&sources).unwrap_or(0);
    // A terminal that does not say how wide it is is taken for an ordinary one.
    let columns = if columns == 0 { ORDINARY } else { columns };
    let rest = MARGIN + size_width + sources_width + 2 * GAP.len();
    let most = columns.saturating_sub(rest).max(LEAST_NAME);
    let names: Vec<_> = hits.iter().map(|hit| shortened(&name(hit), most)).collect();
    let name_width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let line = |(hit, name): (&Hit, &String)| {
        let fill = " ".repeat(name_width - name.width());
        let size = size(hit);
        format!("{name}{fill}{GAP}{size:>size_width$}{GAP}{}", sources(hit))
    };
    hits.iter().zip(&names).map(line).collect()
}

/// What a hit is called, and by whom.
fn name(hit: &Hit) -> String {
    match hit.names.first() {
        Some(name) => format!("{}:/{}", name.owner, visible(name.path.as_str())),
        None => hit.content.to_string(),
    }
}

/// The beginning and, more of it, the end of a name, in at most so many columns.
fn shortened(name: &str, most: usize) -> String {
    if name.width() <= most {
        return name.to_owned();
    }
    let (begin, room) = match name.split_once(":/") {
        Some((owner, _)) if owner.width() + LEAST_NAME / 2 <= most => {
            (format!("{owner}:/…"), most - owner.width() - 3)
        }
        _ => ("…".to_owned(), most - 1),
    };
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken <= room
    };
    let end: Vec<_> = name.chars().rev().take_while(fits).collect();
    begin + &end.into_iter().rev().collect::<String>()
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{api::HitName, path::SharePath, time::Timestamp};

    use super::*;

    fn hit(path: &str, size: u64) -> Hit {
        let name =
            HitName { path: SharePath::parse(path).unwrap(), owner: "alice".parse().unwrap() };
        Hit {
            content: "ab".repeat(32).parse().unwrap(),
            size,
            names: vec![name],
            published_at: Timestamp::from_millis(0),
            online: 1,
            sources: 2,
        }
    }

    #[test]
    fn a_choice_says_what_it_is_and_plays_no_tricks() {
        let hits = [hit("Music/Blue Train.flac", 3 << 20), hit("a\u{202e}b.txt", 12)];
        let shown = lines(&hits, 80);
        assert_eq!(shown[0], "alice:/Music/Blue Train.flac  3.00 MiB  1 of 2 online");
        assert_eq!(shown[1], "alice:/a\\u{202e}b.txt             12 B  1 of 2 online");
    }

    #[test]
    fn what_is_typed_is_looked_for_in_the_whole_name() {
        let name = name(&hit("Music/John Coltrane/Blue Train.flac", 1)).to_lowercase();
        for typed in ["", "coltr", "Train BLUE", "alice:/"] {
            assert!(has_words(&name, typed), "{typed}");
        }
        assert!(!has_words(&name, "blue monday"));
    }

    #[test]
    fn a_choice_is_as_wide_as_the_terminal() {
        let long = format!("{}/the end.txt", "x".repeat(200));
        let wide = format!("{}/終わり.txt", "曲".repeat(80));
        let hits = [hit(&long, 3 << 20), hit(&wide, 3 << 30), hit("short", 0)];
        for columns in [0, 60, 80, 200] {
            let shown = lines(&hits, columns);
            let most = if columns == 0 { ORDINARY } else { columns } - MARGIN;
            for line in &shown {
                assert!(line.width() <= most, "{columns}: {line}");
            }
            assert!(
                shown[0].starts_with("alice:/…x") && shown[0].contains("x/the end.txt "),
                "{shown:?}"
            );
            assert!(shown[1].contains("曲/終わり.txt "), "{shown:?}");
        }
        // However narrow it is, there is something to choose by.
        assert!(lines(&hits, 10)[0].starts_with("alice:/…"), "{:?}", lines(&hits, 10));
    }
}
