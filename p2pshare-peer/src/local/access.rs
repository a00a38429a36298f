//! Who is let in: whoever shows the control token, a cookie that a one-time token was changed for, or the key of one
//! content.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac, rand};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::{HeaderMap, header};
use p2pshare_core::content::ContentId;
use tokio::time::Instant;

use super::control::Token;

/// One-time tokens that wait to be used. The oldest makes room.
const MAX_WAITING: usize = 16;

/// So long they wait: what is printed may lie around in a terminal or a log.
const WAIT: Duration = Duration::from_secs(15 * 60);

/// Browsers that are let in. The oldest makes room.
const MAX_SESSIONS: usize = 64;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// What a key of a content is made for.
const KEY_OF_CONTENT: &[u8] = b"p2pshare content ";

/// How a request proved that it may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A browser's cookie: whether the page itself sent the request is another question.
    Cookie,
    /// The control token, which no web page knows.
    Control,
}

/// Who is let in.
pub(super) struct Access {
    control: Token,
    keys: hmac::Key,
    /// Browsers keep the cookies of all ports of a machine together.
    cookie: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Token, Instant)>,
    sessions: VecDeque<Token>,
}

impl Access {
    pub(super) fn new(port: u16) -> Self {
        let control = new_token();
        let keys = hmac::Key::new(hmac::HMAC_SHA256, control.reveal().as_bytes());
        Self { control, keys, cookie: format!("p2pshare_{port}"), state: Mutex::default() }
    }

    /// What the processes of the same user show.
    pub(super) fn control(&self) -> &Token {
        &self.control
    }

    /// A token that lets a browser in, once and soon.
    pub(super) fn one_time(&self) -> Token {
        let token = new_token();
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING {
            state.waiting.pop_front();
        }
        state.waiting.push_back((token.clone(), Instant::now() + WAIT));
        token
    }

    /// Changes a one-time token for the header that sets a cookie.
    pub(super) fn redeem(&self, token: &str) -> Option<String> {
        let mut state = self.state();
        let now = Instant::now();
        state.waiting.retain(|(_, until)| *until > now);
        let at = state.waiting.iter().position(|(waiting, _)| same(waiting.reveal(), token))?;
        state.waiting.remove(at);
        let session = new_token();
        let set =
            format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, session.reveal());
        if state.sessions.len() >= MAX_SESSIONS {
            state.sessions.pop_front();
        }
        state.sessions.push_back(session);
        Some(set)
    }

    /// How the request proves that it may be made. A wrong control token is no proof, whatever else is there.
    pub(super) fn proof(&self, headers: &HeaderMap) -> Option<Proof> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            let is_it =
                scheme.eq_ignore_ascii_case("bearer") && same(self.control.reveal(), token.trim());
            return is_it.then_some(Proof::Control);
        }
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut shown = cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then_some(value)
        });
        let state = self.state();
        let known = |shown: &str| state.sessions.iter().any(|known| same(known.reveal(), shown));
        shown.any(known).then_some(Proof::Cookie)
    }

    /// The key that lets somebody read this one content.
    pub(super) fn key_of(&self, content: &ContentId) -> String {
        HEXLOWER.encode(hmac::sign(&self.keys, &key_message(content)).as_ref())
    }

    /// Whether it is the key of this content.
    pub(super) fn is_key_of(&self, content: &ContentId, key: &str) -> bool {
        let Ok(key) = HEXLOWER.decode(key.as_bytes()) else { return false };
        hmac::verify(&self.keys, &key_message(content), &key).is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves lists of tokens: as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_message(content: &ContentId) -> Vec<u8> {
    [KEY_OF_CONTENT, content.to_string().as_bytes()].concat()
}

/// In a time that does not tell where they differ.
fn same(known: &str, shown: &str) -> bool {
    verify_slices_are_equal(known.as_bytes(), shown.as_bytes()).is_ok()
}

fn new_token() -> Token {
    let mut bytes = [0; TOKEN_BYTES];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    Token::new(BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn cookie(access: &Access) -> String {
        let token = access.one_time();
        let set = access.redeem(token.reveal()).unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_one_time_token_is_good_once_and_soon() {
        let access = Access::new(7402);
        let token = access.one_time();
        assert!(access.redeem("").is_none());
        assert!(access.redeem(&token.reveal()[1..]).is_none());
        let set = access.redeem(token.reveal()).unwrap();
        assert!(set.starts_with("p2pshare_7402=") && set.contains("HttpOnly; SameSite=Strict"));
        assert!(access.redeem(token.reveal()).is_none());
        let late = access.one_time();
        tokio::time::advance(WAIT).await;
        assert!(access.redeem(late.reveal()).is_none());
    }

    #[tokio::test]
    async fn only_known_cookies_and_the_control_token_are_proof() {
        let access = Access::new(7402);
        let shown = cookie(&access);
        assert_eq!(access.proof(&HeaderMap::new()), None);
        assert_eq!(access.proof(&headers(header::COOKIE, &shown)), Some(Proof::Cookie));
        let among = format!("a=b; {shown}; p2pshare_1=x");
        assert_eq!(access.proof(&headers(header::COOKIE, &among)), Some(Proof::Cookie));
        for wrong in ["p2pshare_7402=", "p2pshare_7402", &shown.replace("7402", "7403"), "x"] {
            assert_eq!(access.proof(&headers(header::COOKIE, wrong)), None, "{wrong}");
        }
        let bearer = format!("Bearer {}", access.control().reveal());
        assert_eq!(access.proof(&headers(header::AUTHORIZATION, &bearer)), Some(Proof::Control));
        let mut both = headers(header::COOKIE, &shown);
        both.insert(header::AUTHORIZATION, "Bearer wrong".parse().unwrap());
        assert_eq!(access.proof(&both), None);
        assert_eq!(Access::new(7402).proof(&headers(header::COOKIE, &shown)), None);
    }

    #[tokio::test]
    async fn tokens_are_bounded_and_the_oldest_go_first() {
        let access = Access::new(1);
        let first = access.one_time();
        let later: Vec<_> = (0..MAX_WAITING).map(|_| access.one_time()).collect();
        assert!(access.redeem(first.reveal()).is_none());
        assert!(later.iter().all(|token| access.redeem(token.reveal()).is_some()));
        let first = cookie(&access);
        let last: Vec<_> = (0..MAX_SESSIONS).map(|_| cookie(&access)).collect();
        assert_eq!(access.proof(&headers(header::COOKIE, &first)), None);
        assert!(access.proof(&headers(header::COOKIE, last.last().unwrap())).is_some());
    }

    #[test]
    fn a_key_is_for_one_content() {
        let access = Access::new(1);
        let (one, other) = (ContentId::of(b"1"), ContentId::of(b"2"));
        let key = access.key_of(&one);
        assert!(access.is_key_of(&one, &key));
        assert!(!access.is_key_of(&other, &key));
        assert!(!access.is_key_of(&one, &key[2..]));
        assert!(!access.is_key_of(&one, ""));
        assert!(!Access::new(1).is_key_of(&one, &key));
    }
}
