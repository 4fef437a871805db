//! Who we are to the servers: a user, an API key, a bearer's token, or nobody.

use elasticsearch::auth::Credentials;

use super::{ElasticError, Settings};
use crate::record::Secret;

/// The credentials that the settings have; `None` if there are none.
pub(super) fn credentials(settings: &Settings) -> Result<Option<Credentials>, ElasticError> {
    let secret = Secret::from_value_or_file;
    let password = secret("password", settings.password.as_ref(), settings.password_file.as_deref())?;
    let api_key = secret("api_key", settings.api_key.as_ref(), settings.api_key_file.as_deref())?;
    let token = secret("bearer_token", settings.bearer_token.as_ref(), settings.bearer_token_file.as_deref())?;
    let has_user = settings.username.is_some() || password.is_some();
    let one_of =
        |setting| refuse(setting, "stands beside other credentials; use a username, an api_key or a bearer_token");
    match (api_key, token) {
        (Some(_), Some(_)) => Err(one_of("bearer_token")),
        (Some(_), None) if has_user => Err(one_of("api_key")),
        (None, Some(_)) if has_user => Err(one_of("bearer_token")),
        (Some(key), None) => self::api_key(&key).map(Some),
        (None, Some(token)) => Ok(Some(Credentials::Bearer(header("bearer_token", &token)?))),
        (None, None) => match (&settings.username, password) {
            (None, None) => Ok(None),
            (Some(username), Some(password)) => {
                Ok(Some(Credentials::Basic(username.clone(), password.expose().to_owned())))
            }
            (Some(_), None) => Err(refuse("username", "has no password; add password or password_file")),
            (None, Some(_)) => Err(refuse("password", "has no username; add username")),
        },
    }
}

fn api_key(key: &Secret) -> Result<Credentials, ElasticError> {
    if let Some((id, key)) = key.expose().split_once(':') {
        return Ok(Credentials::ApiKey(id.to_owned(), key.to_owned()));
    }
    header("api_key", key).map(Credentials::EncodedApiKey)
}

/// A secret that becomes a header as it is. The error must not repeat it.
fn header(setting: &'static str, secret: &Secret) -> Result<String, ElasticError> {
    if secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret.expose().to_owned());
    }
    let forms = if setting == "api_key" { "the server's `encoded` form or `id:key`" } else { "a token" };
    Err(refuse(setting, &format!("is not {forms}: it has characters that can't be sent")))
}

/// The error that a setting can't be used.
pub(super) fn refuse(setting: &'static str, reason: &str) -> ElasticError {
    ElasticError::Settings { setting, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Secret, Settings, credentials};

    fn user() -> Settings {
        Settings { username: Some("ada".to_owned()), password: Some(Secret::from("hunter2")), ..Settings::default() }
    }

    fn refusal(settings: &Settings) -> String {
        let text = credentials(settings).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
        text
    }

    #[test]
    fn there_is_one_kind_of_credentials_or_none() {
        assert!(credentials(&Settings::default()).unwrap().is_none());
        assert!(matches!(credentials(&user()).unwrap(), Some(Credentials::Basic(name, _)) if name == "ada"));
        let key = |key: &str| Settings { api_key: Some(Secret::from(key)), ..Settings::default() };
        assert!(matches!(credentials(&key("abc=")).unwrap(), Some(Credentials::EncodedApiKey(_))));
        assert!(matches!(credentials(&key("id:key")).unwrap(), Some(Credentials::ApiKey(..))));
        let token = Settings { bearer_token: Some(Secret::from("abc.def")), ..Settings::default() };
        assert!(matches!(credentials(&token).unwrap(), Some(Credentials::Bearer(token)) if token == "abc.def"));

        assert!(refusal(&Settings { api_key: Some(Secret::from("abc=")), ..user() }).contains("beside other"));
        assert!(refusal(&Settings { bearer_token: Some(Secret::from("abc")), ..user() }).contains("beside other"));
        assert!(refusal(&Settings { api_key: Some(Secret::from("abc=")), ..token }).contains("beside other"));
    }

    #[test]
    fn credentials_that_are_not_whole_are_refused_and_not_repeated() {
        assert!(refusal(&Settings { password: None, ..user() }).contains("username has no password"));
        assert!(refusal(&Settings { username: None, ..user() }).contains("password has no username"));
        let broken = Some(Secret::from("hunter2\nx"));
        let key = Settings { api_key: broken.clone(), ..Settings::default() };
        assert!(refusal(&key).contains("elasticsearch.api_key"));
        let token = Settings { bearer_token: broken, ..Settings::default() };
        assert!(refusal(&token).contains("elasticsearch.bearer_token"));
    }
}
