//! Configuration of who may use the service.

use serde::{Deserialize, Serialize};

/// Who may use the service (`[auth]`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Serve without keys on an address that is not loopback. Whoever reaches it can then do
    /// everything. Has no effect once there is a key.
    pub insecure_no_keys: bool,
    /// `/metrics` needs a key with the scope `read`, where there are keys.
    pub metrics_key: bool,
}
