"""AWS KMS, STS and IAM as moto implements them, for the tests of the key provider.

Prints one line of JSON about itself, then answers each line of JSON on standard input with one line. From the first line on every
request must be signed by a user or role whose policy allows it: moto computes the signature again with botocore. "unsigned" lets the
next request through without: moto knows no call that needs none, and AssumeRoleWithWebIdentity is one.
"""

import base64
import json
import sys

import boto3
import requests
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["kms:*"], "Resource": "*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:*"}],
}


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"

    def client(service, key="setup", secret="setup"):
        return boto3.client(
            service, REGION, endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret
        )

    iam = client("iam")
    iam.create_user(UserName="sidecar")
    iam.put_user_policy(UserName="sidecar", PolicyName="keys", PolicyDocument=json.dumps(POLICY))
    access = iam.create_access_key(UserName="sidecar")["AccessKey"]
    role = iam.create_role(RoleName="sidecar", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.put_role_policy(RoleName="sidecar", PolicyName="keys", PolicyDocument=json.dumps(POLICY))
    key = client("kms").create_key(Description="records")["KeyMetadata"]
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()

    say = {
        "endpoint": endpoint,
        "access_key_id": access["AccessKeyId"],
        "secret_access_key": access["SecretAccessKey"],
        "role": role["Arn"],
        "key": key["Arn"],
        "key_id": key["KeyId"],
    }
    print(json.dumps(say), flush=True)
    kms = client("kms", access["AccessKeyId"], access["SecretAccessKey"])
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if question["do"] == "decrypt":
                plaintext = kms.decrypt(
                    CiphertextBlob=base64.b64decode(question["blob"]), EncryptionContext=question["context"]
                )["Plaintext"]
                answer = {"plaintext": base64.b64encode(plaintext).decode()}
            else:
                requests.post(f"{endpoint}/moto-api/reset-auth", data=b"1", timeout=10).raise_for_status()
                answer = {}
        except Exception as error:  # what went wrong is an answer, too
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    server.stop()


main()
