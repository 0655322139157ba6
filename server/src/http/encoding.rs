//! Which compressed form of a file a client takes.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// A form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by brotli.
    Brotli,
}

/// The form for a client that sent `headers`, of those that there are (RFC 9110, section 12.5.3): what
/// it weighs most, and of equals the smallest. What it refuses all of is sent as it is.
pub(super) fn choose(headers: &HeaderMap, brotli: bool, gzip: bool) -> Encoding {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let accepted: Vec<(&str, u16)> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(weighted)
        .collect();
    let weight = |names: &[&str]| {
        let named = |name: &str| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let of = |wanted: &dyn Fn(&str) -> bool| {
            accepted
                .iter()
                .find(|(name, _)| wanted(name))
                .map(|(_, weight)| *weight)
        };
        of(&named).or_else(|| of(&|name| name == "*")).unwrap_or(0)
    };
    let forms = [
        (gzip, weight(&["gzip", "x-gzip"]), Encoding::Gzip),
        (brotli, weight(&["br"]), Encoding::Brotli),
    ];
    let possible = forms
        .into_iter()
        .filter(|(there, weight, _)| *there && *weight > 0);
    possible
        .max_by_key(|(_, weight, _)| *weight)
        .map_or(Encoding::Plain, |(.., form)| form)
}

/// A coding and its weight in thousandths, 1000 where none is given.
fn weighted(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(weight) = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
    else {
        return Some((name, 1000));
    };
    let weight: f32 = weight
        .parse()
        .ok()
        .filter(|weight| (0.0..=1.0).contains(weight))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1000
    Some((name, (weight * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(accepted: &'static str) -> Encoding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        choose(&headers, true, true)
    }

    #[test]
    fn the_smallest_that_is_accepted() {
        for (accepted, form) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", Encoding::Brotli),
            ("br;q=0.5, gzip;q=0.8", Encoding::Gzip),
            ("gzip", Encoding::Gzip),
            ("X-GZIP", Encoding::Gzip),
            ("*", Encoding::Brotli),
            ("br;q=0, *", Encoding::Gzip),
            ("br; q=0, gzip; q=0", Encoding::Plain),
            ("identity", Encoding::Plain),
            ("deflate, zstd", Encoding::Plain),
            ("br;q=nonsense", Encoding::Plain),
            ("", Encoding::Plain),
        ] {
            assert_eq!(choice(accepted), form, "{accepted}");
        }
        assert_eq!(choose(&HeaderMap::new(), true, true), Encoding::Plain);
    }

    #[test]
    fn only_what_there_is() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, "gzip, br".parse().unwrap());
        assert_eq!(choose(&headers, false, true), Encoding::Gzip);
        assert_eq!(choose(&headers, false, false), Encoding::Plain);
    }
}
