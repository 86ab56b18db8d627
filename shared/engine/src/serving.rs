//! Which containers serve.

use bollard::query_parameters::ListContainersOptionsBuilder;
use pilotage_name::ServiceKey;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::label;
use crate::name::network_of;

impl Engine {
    /// The ids of the containers that carry a service's labels, run, and are found by its name on the network of its
    /// environment; or of all that run, when the service is found by nobody, as a worker.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn serving(&self, key: &ServiceKey) -> Result<Vec<String>, EngineError> {
        let filters = label::filter(&label::of_service(key), &[]);
        let options = ListContainersOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let network = network_of(key);
        let mut found = Vec::new();
        for container in listed.map_err(self.failed("list its containers"))? {
            let Some(id) = container.id else { continue };
            if container
                .labels
                .is_some_and(|labels| labels.contains_key(label::ONE_OFF))
            {
                continue;
            }
            let shown = self.docker.inspect_container(&id, None).await;
            let named = match shown.map_err(self.failed("show a container")) {
                Ok(shown) => shown
                    .network_settings
                    .and_then(|settings| settings.networks)
                    .and_then(|mut networks| networks.remove(&network))
                    .and_then(|endpoint| endpoint.aliases)
                    .is_some_and(|aliases| aliases.iter().any(|alias| alias == key.service.as_str())),
                Err(error) if error.status() == Some(404) => continue,
                Err(error) => return Err(error),
            };
            found.push((named, id));
        }
        let any = found.iter().any(|(named, _)| *named);
        found.retain(|(named, _)| *named == any);
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }
}
