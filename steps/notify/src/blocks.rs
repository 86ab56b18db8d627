use slack_morphism::prelude::{SlackBlock, SlackBlockMarkDownText, SlackMessageContent, SlackSectionBlock};

use crate::mrkdwn::truncate;

/// Slack's limits: <https://docs.slack.dev/reference/block-kit/blocks>.
const MOST_BLOCKS: usize = 50;
const LONGEST_SECTION: usize = 3_000;
/// What Slack recommends as the longest `text`, which notifications and screen readers use.
const LONGEST_TEXT: usize = 4_000;

/// A rendered text as the content of a message: every paragraph is a section. What is over a limit is cut in sight.
pub(crate) fn content(text: &str) -> SlackMessageContent {
    let paragraphs: Vec<&str> = text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .collect();
    let over = paragraphs.len() > MOST_BLOCKS;
    let kept = if over { MOST_BLOCKS - 1 } else { paragraphs.len() };
    let mut blocks: Vec<SlackBlock> = paragraphs
        .iter()
        .take(kept)
        .map(|paragraph| section(paragraph))
        .collect();
    if over {
        blocks.push(section(&format!(
            "… ({} more paragraphs)",
            paragraphs.len() - kept
        )));
    }
    SlackMessageContent::new()
        .with_text(truncate(text, LONGEST_TEXT))
        .with_blocks(blocks)
}

fn section(text: &str) -> SlackBlock {
    // Verbatim: only markup of our own mentions anybody; Slack does not look for `@channel` or addresses in the text.
    let text = SlackBlockMarkDownText::new(truncate(text, LONGEST_SECTION)).with_verbatim(true);
    SlackSectionBlock::new().with_text(text.into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        serde_json::to_value(content(text)).unwrap()
    }

    #[test]
    fn paragraphs_are_sections() {
        assert_eq!(
            json("*a*\nb\n\nc"),
            serde_json::json!({
                "text": "*a*\nb\n\nc",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": "*a*\nb", "verbatim": true}},
                    {"type": "section", "text": {"type": "mrkdwn", "text": "c", "verbatim": true}},
                ],
            })
        );
    }

    #[test]
    fn limits_are_kept_in_sight() {
        let many = json(&vec!["p"; 51].join("\n\n"));
        let blocks = many["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 50);
        assert_eq!(blocks[49]["text"]["text"], "… (2 more paragraphs)");

        let long = json(&"x".repeat(5_000));
        let section = long["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(
            section.chars().count() <= 3_000 && section.ends_with("… (2040 more characters)"),
            "{section}"
        );
        assert!(long["text"].as_str().unwrap().chars().count() <= 4_000);
    }
}
