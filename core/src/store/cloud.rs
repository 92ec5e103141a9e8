//! Opening a bucket: settings checked, credentials read, the service asked once whether it lets us in.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::{Host, Url};

use super::http::Http;
use super::locks::ObjectLocks;
use super::settings::{Secret, StoreSettings};
use super::{FOLDER, Service, describe, io_error, service_kind};
use crate::error::{Error, ErrorKind, Result};

/// Largest file with a secret or with certificates.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Tries of one request. What still fails then is tried again, with longer waits, by the repository.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(120),
    }
}

/// A client of a bucket, and its locks where the service has them.
type Client = (Arc<dyn ObjectStore>, Option<Arc<dyn ObjectLocks>>);

/// A client of the bucket; its locks are those of `folder`, which ends with a slash. Reads files; talks to nobody.
#[cfg_attr(not(feature = "s3"), allow(unused_variables, reason = "only S3 has locks"))]
pub(super) fn client(
    service: Service,
    bucket: &str,
    folder: &str,
    settings: &StoreSettings,
) -> Result<Client> {
    match service {
        #[cfg(feature = "s3")]
        Service::S3 => s3(bucket, folder, section("s3", settings.s3.as_ref())?),
        #[cfg(feature = "azure")]
        Service::Azure => Ok((azure(bucket, section("azure", settings.azure.as_ref())?)?, None)),
        #[cfg(feature = "gcs")]
        Service::Gcs => Ok((gcs(bucket, section("gcs", settings.gcs.as_ref())?)?, None)),
        #[allow(unreachable_patterns, reason = "unreachable where all features are on")]
        _ => Err(super::not_built(service)),
    }
}

fn section<'s, T>(name: &str, section: Option<&'s T>) -> Result<&'s T> {
    section.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("store settings: there is no section [{name}]; it holds the credential"),
        )
        .with_hint("Give store settings with that section.")
    })
}

#[cfg(feature = "s3")]
fn s3(bucket: &str, folder: &str, settings: &super::S3Settings) -> Result<Client> {
    use super::s3_locks::{S3Locks, Signer};
    use object_store::aws::{AmazonS3Builder, AwsCredential};

    let endpoint = endpoint(settings.endpoint.as_deref(), settings.allow_http)?;
    let region = match (&settings.region, &endpoint) {
        (Some(region), _) if !region.is_empty() && region.bytes().all(|b| b.is_ascii_graphic()) => {
            region.as_str()
        }
        (Some(region), _) => return Err(Error::invalid("region", region, "the name of a region")),
        (None, Some(_)) => "us-east-1",
        (None, None) => return Err(missing("region", "the bucket's region, or endpoint")),
    };
    let id = given("access_key_id", settings.access_key_id.as_deref())?;
    let secret = secret(&[(
        "secret_access_key",
        settings.secret_access_key.as_ref(),
        settings.secret_access_key_file.as_deref(),
    )])?;
    let credential = AwsCredential {
        key_id: id.to_owned(),
        secret_key: secret.1.expose().to_owned(),
        token: settings
            .session_token
            .as_ref()
            .map(|token| token.expose().to_owned()),
    };
    let signer = Arc::new(Signer::new(credential, region));
    let http = http(
        endpoint.is_some(),
        settings.allow_http,
        settings.ca_file.as_deref(),
    )?
    .with_signer(Arc::clone(&signer));
    let root = bucket_url(bucket, region, endpoint.as_deref(), settings.virtual_hosted)?;
    let locks = S3Locks::new(http.clone(), signer, root, folder);
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(http)
        .with_client_options(options())
        .with_retry(retry())
        .with_bucket_name(bucket)
        .with_region(region)
        .with_access_key_id(id)
        .with_secret_access_key(secret.1.expose())
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        // Removing many with one request needs a header that several compatible services lack.
        .with_disable_bulk_delete(true);
    if let Some(token) = &settings.session_token {
        builder = builder.with_token(token.expose());
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(true);
    }
    let client = Arc::new(builder.build().map_err(refused)?);
    Ok((client, Some(Arc::new(locks))))
}

/// Root of a bucket, with a slash at its end.
#[cfg(feature = "s3")]
fn bucket_url(bucket: &str, region: &str, endpoint: Option<&str>, in_host: bool) -> Result<Url> {
    let text = match (endpoint, in_host) {
        (Some(endpoint), true) => format!("{endpoint}/"),
        (Some(endpoint), false) => format!("{endpoint}/{bucket}/"),
        (None, true) => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        (None, false) => format!("https://s3.{region}.amazonaws.com/{bucket}/"),
    };
    Url::parse(&text).map_err(|_| Error::invalid("region", region, "the name of a region"))
}

#[cfg(feature = "azure")]
fn azure(container: &str, settings: &super::AzureSettings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

    let endpoint = endpoint(settings.endpoint.as_deref(), settings.allow_http)?;
    let account = given("account", settings.account.as_deref())?;
    if account.len() > 63 || !account.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Error::invalid(
            "account",
            account,
            "letters and digits, 63 at most",
        ));
    }
    let (field, secret) = secret(&[
        (
            "access_key",
            settings.access_key.as_ref(),
            settings.access_key_file.as_deref(),
        ),
        (
            "sas_token",
            settings.sas_token.as_ref(),
            settings.sas_token_file.as_deref(),
        ),
    ])?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_http_connector(http(
            endpoint.is_some(),
            settings.allow_http,
            settings.ca_file.as_deref(),
        )?)
        .with_client_options(options())
        .with_retry(retry())
        .with_account(account)
        .with_container_name(container);
    builder = if field == "access_key" {
        builder.with_access_key(secret.expose())
    } else {
        builder.with_config(AzureConfigKey::SasKey, secret.expose())
    };
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(true);
    }
    // What it says about a key that cannot be read could quote the key.
    let built = builder.build().map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("{field}: it cannot be read; allowed: as Azure shows it"),
        )
    })?;
    Ok(Arc::new(built))
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &str, settings: &super::GcsSettings) -> Result<Arc<dyn ObjectStore>> {
    use object_store::gcp::GoogleCloudStorageBuilder;

    let endpoint = endpoint(settings.endpoint.as_deref(), settings.allow_http)?;
    let Some(file) = settings.service_account_file.as_deref() else {
        return Err(missing("service_account_file", "the service account's key file"));
    };
    let key = read("service_account_file", file)?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_http_connector(http(
            endpoint.is_some(),
            settings.allow_http,
            settings.ca_file.as_deref(),
        )?)
        .with_client_options(options())
        .with_retry(retry())
        .with_bucket_name(bucket)
        .with_service_account_key(key.expose());
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(&endpoint);
    }
    // What it says about a key that cannot be read could quote the key.
    let built = builder.build().map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("service_account_file: '{}' is no key of a service account; allowed: the JSON file that Google hands out", file.display()),
        )
    })?;
    Ok(Arc::new(built))
}

/// Asks the service for one list: it answers with a reason where a look at one object would answer with a bare number.
pub(super) async fn reach(store: &dyn ObjectStore, shown: &str) -> Result<()> {
    let path = Path::from(FOLDER).join("keys");
    match store.list(Some(&path)).next().await {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => {
            let kind = service_kind(&error).unwrap_or(match &error {
                object_store::Error::NotFound { .. } => ErrorKind::NotFound,
                object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionMissing,
                object_store::Error::Unauthenticated { .. } => ErrorKind::Unauthorized,
                _ => ErrorKind::Unavailable,
            });
            let (what, hint) = match kind {
                ErrorKind::NotFound => (
                    "there is no such bucket or container",
                    "Check its name, the endpoint and the region; it is not made by itself.",
                ),
                ErrorKind::Unauthorized => (
                    "the service refuses the credential",
                    "Check the key and its secret in the store settings, and this machine's clock.",
                ),
                ErrorKind::PermissionMissing => (
                    "the credential has no right to list objects there",
                    "Give it the rights to list, read and create objects.",
                ),
                ErrorKind::InvalidInput => (
                    "the service does not take this request",
                    "Check endpoint and region in the store settings.",
                ),
                _ => (
                    "the service cannot be reached or does not answer",
                    "Check the endpoint in the store settings and the network, then run again.",
                ),
            };
            Err(Error::new(kind, format!("{shown}: {what}: {}", describe(&error)))
                .with_source(error)
                .with_hint(hint))
        }
    }
}

fn options() -> ClientOptions {
    // Read by nobody but the builders: the client is ours.
    ClientOptions::new()
}

fn http(own_endpoint: bool, allow_http: bool, ca: Option<&FilePath>) -> Result<Http> {
    let ca = ca.map(|path| read("ca_file", path)).transpose()?;
    // An endpoint with `http` was let through only for loopback or where it is wanted.
    Http::new(
        own_endpoint || allow_http,
        ca.as_ref().map(|pem| pem.expose().as_bytes()),
    )
}

/// The endpoint without a slash at its end.
fn endpoint(text: Option<&str>, allow_http: bool) -> Result<Option<String>> {
    const ALLOWED: &str = "https://HOST[:PORT][/PATH] without user, query and fragment; http for loopback, or elsewhere with \
                           allow_http = true";
    let Some(text) = text else { return Ok(None) };
    let shown = if text.contains(['@', '?']) {
        // Where others put secrets.
        "..."
    } else {
        text
    };
    let refuse = || Error::invalid("endpoint", shown, ALLOWED);
    let url = Url::parse(text).map_err(|_| refuse())?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(refuse()),
    };
    let plain = url.scheme() == "http";
    if !(url.scheme() == "https" || plain && (loopback || allow_http))
        || !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(refuse());
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

#[cfg(any(feature = "s3", feature = "azure"))]
fn given<'s>(field: &str, value: Option<&'s str>) -> Result<&'s str> {
    value
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| missing(field, "a value"))
}

fn missing(field: &str, allowed: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("store settings: {field} is missing; allowed: {allowed}"),
    )
}

/// The one secret that is given among these, itself or in a file, and the name of its field.
#[cfg(any(feature = "s3", feature = "azure"))]
fn secret<'f>(candidates: &[(&'f str, Option<&Secret>, Option<&FilePath>)]) -> Result<(&'f str, Secret)> {
    let mut found: Vec<(&str, Secret)> = Vec::new();
    for (field, value, file) in candidates {
        if let Some(value) = value {
            found.push((*field, (*value).clone()));
        }
        if let Some(file) = file {
            found.push((*field, read(&format!("{field}_file"), file)?));
        }
    }
    let fields: Vec<&str> = candidates.iter().map(|(field, ..)| *field).collect();
    let allowed = format!(
        "exactly one of {}, each as it is or in a file named by the key with _file",
        fields.join(", ")
    );
    match found.pop() {
        Some((field, _)) if !found.is_empty() => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("store settings: {field} is not the only credential; allowed: {allowed}"),
        )),
        Some((field, secret)) if secret.expose().trim().is_empty() => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("store settings: {field} is empty; allowed: {allowed}"),
        )),
        Some((field, secret)) => Ok((field, Secret::new(secret.expose().trim()))),
        None => Err(missing(fields.first().copied().unwrap_or_default(), &allowed)),
    }
}

fn read(field: &str, path: &FilePath) -> Result<Secret> {
    let what = format!("{field} '{}'", path.display());
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(field, path.display()),
        std::io::ErrorKind::InvalidData => Error::new(ErrorKind::InvalidInput, format!("{what}: no text")),
        _ => io_error(&what, error),
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{what}: larger than 1 MiB"),
        ));
    }
    std::fs::read_to_string(path).map(Secret::new).map_err(failed)
}

#[cfg(feature = "s3")]
fn refused(error: object_store::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("store settings: {}", describe(&error)),
    )
    .with_source(error)
}
