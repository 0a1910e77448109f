"""Deployment images on a real cluster: an app behind the ingress stand-in, and the tools by themselves."""

import http.client
import json
import socket
import ssl
from pathlib import Path

import pytest
import trustme
import yaml

from harness.nodeimage import deployment_images
from harness.nodeimage.engine import image_labels
from harness.nodeimage.pins import choose_pair
from harness.nodeimage.process import CommandError, run
from harness.spec import KindSpec
from harness.waiting import until
from tests.kind.conftest import living_cluster
from tests.kind.needs import kind_needed

pytestmark = [pytest.mark.kind, pytest.mark.slow]
MANIFESTS = Path(__file__).with_name("ingress.yaml")
HOST = "app.test"
BINARY = bytes(range(256)) * 3
SPEC = KindSpec(ports=((0, 80), (0, 443)))


def have(name, config):
    with kind_needed(config):
        return deployment_images.find(name)


@pytest.fixture(scope="module")
def need(pytestconfig):
    return lambda name: have(name, pytestconfig)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, pytestconfig, need, authority):
    references = [need(name) for name in ("caddy-stand-in", "app")]
    with living_cluster(tmp_path_factory.mktemp("ingress"), SPEC, pytestconfig) as made:
        for reference in references:
            run([str(made.setup.kind), "load", "docker-image", reference, "--name", made.name], timeout_seconds=120)
        kubectl(made, "apply", "-f", str(MANIFESTS))
        put_secret(made, tmp_path_factory.mktemp("pem"), authority.issue_cert(HOST))
        for namespace, name in (("caddy-system", "caddy-ingress-controller"), ("shop", "app")):
            kubectl(made, "-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=90s")
        yield made


def kubectl(cluster, *words):
    return run([str(cluster.setup.kubectl), "--kubeconfig", str(cluster.kubeconfig), *words], timeout_seconds=120)


def put_secret(cluster, folder, pair):
    pair.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    pair.private_key_pem.write_to_path(folder / "tls.key")
    files = [f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}"]
    made = kubectl(
        cluster, "-n", "shop", "create", "secret", "tls", "app-tls", *files, "--dry-run=client", "-o", "yaml"
    )
    (folder / "secret.yaml").write_text(made)
    kubectl(cluster, "apply", "-f", str(folder / "secret.yaml"))


def port(cluster, inside):
    node = cluster.setup.engine.containers.get(f"{cluster.name}-control-plane")
    return int(node.attrs["NetworkSettings"]["Ports"][f"{inside}/tcp"][0]["HostPort"])


def ask(cluster, method, path, body=None, context=None, name=HOST):
    """One request with that host's name, plain or by TLS: status, body, headers."""
    with socket.create_connection(("127.0.0.1", port(cluster, 443 if context else 80)), timeout=5) as plain:
        wire = context.wrap_socket(plain, server_hostname=name) if context else plain
        connection = http.client.HTTPConnection(name)
        connection.sock = wire
        connection.request(method, path, body)
        answer = connection.getresponse()
        said = (answer.status, answer.read(), dict(answer.getheaders()))
        connection.close()
    return said


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def reached(*words, **more):
    try:
        return ask(*words, **more)[0] == 200
    except OSError:
        return False


def test_the_app_answers_by_plain_http(cluster):
    until(lambda: reached(cluster, "GET", "/healthz"), what="the app by HTTP", deadline_seconds=30)
    status, body, _ = ask(cluster, "GET", "/")
    said = json.loads(body)
    assert (status, said["host"]) == (200, HOST)
    assert said["pod"].startswith("app-")


def test_the_app_answers_by_tls_with_the_certificate_of_its_secret(cluster, authority):
    context = trusting(authority)
    until(lambda: reached(cluster, "GET", "/healthz", context=context), what="the app by TLS", deadline_seconds=30)
    assert json.loads(ask(cluster, "GET", "/", context=context)[1])["host"] == HOST


def test_a_host_without_a_secret_gets_no_certificate(cluster, authority):
    with pytest.raises(ssl.SSLError):
        ask(cluster, "GET", "/", context=trusting(authority), name="other.test")


def test_what_the_app_is_given_comes_back_byte_for_byte(cluster, authority):
    context = trusting(authority)
    assert ask(cluster, "PUT", "/data/binary", BINARY, context=context)[0] == 204
    assert ask(cluster, "GET", "/data/binary", context=context)[:2] == (200, BINARY)
    assert ask(cluster, "GET", "/data/none", context=context)[0] == 404
    assert ask(cluster, "PUT", "/data/..%2Fout", BINARY, context=context)[0] == 400


def test_a_secret_that_is_renewed_is_served(cluster, tmp_path):
    other = trustme.CA()
    put_secret(cluster, tmp_path, other.issue_cert(HOST))
    context = trusting(other)
    until(lambda: reached(cluster, "GET", "/healthz", context=context), what="the new certificate", deadline_seconds=20)


def test_without_the_annotation_plain_http_is_sent_to_tls(cluster):
    annotation = "caddy.ingress.kubernetes.io/disable-ssl-redirect"
    kubectl(cluster, "-n", "shop", "annotate", "ingress", "app", f"{annotation}-")
    until(lambda: ask(cluster, "GET", "/x")[0] == 308, what="the redirect", deadline_seconds=20)
    assert ask(cluster, "GET", "/x?y=1")[2]["Location"] == f"https://{HOST}/x?y=1"
    kubectl(cluster, "-n", "shop", "annotate", "ingress", "app", f"{annotation}=true")


def test_both_programs_end_when_told_to(cluster):
    for namespace, name in (("caddy-system", "caddy-ingress-controller"), ("shop", "app")):
        pod = kubectl(cluster, "-n", namespace, "get", "pods", "-o", "name").split()[0]
        # longer than an orderly end takes, shorter than the grace after which it is killed
        kubectl(cluster, "-n", namespace, "delete", pod, "--timeout=8s")
        kubectl(cluster, "-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=60s")


def in_image(reference, script):
    words = ["docker", "run", "--rm", "--network", "none", "--label", "afterfault.run=test-deployment-images"]
    return run([*words, reference, "sh", "-c", script], timeout_seconds=60).strip()


@pytest.mark.parametrize("name", ["etcd-tools", "etcd-tools-nojq"])
def test_the_tools_are_of_the_pair_and_work(need, name):
    version = choose_pair().etcd
    said = in_image(need(name), "etcd --version; etcdctl version; etcdutl version; /usr/local/bin/etcdctl version")
    assert said.count(version) >= 4
    round_trip = (
        "cd /tmp && printf 'a\\0b' > x && cp x y && mv y z && cat z | base64 && test -f z && [ -d /tmp ] && wc -c < z"
    )
    assert in_image(need(name), round_trip).split() == ["YQBi", "3"]


def test_jq_is_in_one_and_not_in_the_other(need):
    assert in_image(need("etcd-tools"), "echo '{\"a\": [1]}' | jq -c .a") == "[1]"
    with pytest.raises(CommandError) as told:
        in_image(need("etcd-tools-nojq"), "jq --version")
    assert told.value.code == 127


def test_kubectl_is_of_the_pair(need):
    assert choose_pair().kubernetes in in_image(
        need("kubectl"), "kubectl version --client && echo x | wc -l && mv --version"
    )


def test_the_ingress_says_that_it_is_a_stand_in(need):
    assert image_labels(need("caddy-stand-in"))["afterfault.stand-in-for"] == "caddyserver/ingress"


def test_the_manifests_name_our_images(need):
    documents = [document for document in yaml.safe_load_all(MANIFESTS.read_text()) if document["kind"] == "Deployment"]
    used = [document["spec"]["template"]["spec"]["containers"][0]["image"] for document in documents]
    assert used == [need("caddy-stand-in"), need("app")]
